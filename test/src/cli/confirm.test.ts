import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { askYes, howToGo } from '../../../src/cli/confirm.ts'

function terminal({ isTTY = true } = {}) {
  return { input: Object.assign(new PassThrough(), { isTTY }), output: Object.assign(new PassThrough(), { isTTY }) }
}

describe('a changing command', () => {
  test('asks on a terminal, and refuses where there is none', () => {
    expect(howToGo({}, terminal())).toBe('ask')
    expect(howToGo({}, terminal({ isTTY: false }))).toBe('refuse')
    expect(howToGo({}, { ...terminal(), output: terminal({ isTTY: false }).output })).toBe('refuse')
  })

  test('with --yes does not ask, and with --dry-run changes nothing, even with both', () => {
    for (const isTTY of [true, false]) {
      expect(howToGo({ yes: true }, terminal({ isTTY }))).toBe('do')
      expect(howToGo({ yes: true, dryRun: true }, terminal({ isTTY }))).toBe('show')
    }
  })
})

describe('a question', () => {
  test.for([
    ['y\n', true],
    ['YES\n', true],
    [' yes \n', true],
    ['\n', false],
    ['n\n', false],
    ['yep\n', false],
    ['\u0003', false],
  ] as const)('answered with %j is %s', async ([typed, expected]) => {
    const { input, output } = terminal()
    const answer = askYes('Put orders there?', { terminal: { input, output } })
    input.write(typed)
    expect(await answer).toBe(expected)
    output.end()
    expect(await text(output)).toContain('Put orders there? [y/N] ')
  })

  test('that nobody can answer any more is a no', async () => {
    const { input, output } = terminal()
    const answer = askYes('Remove orders?', { terminal: { input, output } })
    input.end()
    expect(await answer).toBe(false)
    output.end()
    expect(await text(output)).toMatch(/\[y\/N\] .*\n$/)
  })

  test('ends with why it was cut short: the lease was lost meanwhile', async () => {
    const lost = new AbortController()
    const answer = askYes('Remove orders?', { signal: lost.signal, terminal: terminal() })
    lost.abort(new Error('another driver took over'))
    await expect(answer).rejects.toThrow('another driver took over')
  })
})
