import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { consoleSink } from '../../../connectors/console/index.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import { rowsOf, running, task } from '../files/files-task.ts'

const script = fileURLToPath(new URL('./print-rows.ts', import.meta.url))

/** A process of its own that prints `count` rows by a sink that was given nothing. */
function print(count: number) {
  return spawn(process.execPath, ['--conditions=tidemark-source', script, String(count)], { stdio: ['ignore', 'pipe', 'pipe'] })
}

test('each row is a line of JSON, and text is printed as it is', async () => {
  const printed: string[] = []
  const sink = consoleSink({ write: lines => printed.push(lines) })
  await sink.write(task(), rowsOf([{ id: 1 }, 'plain "text"'], [], [null, 5]), running)
  expect(printed.join('')).toBe('{"id":1}\nplain "text"\nnull\n5\n')
  expect(sink).toMatchObject({ name: 'console', guarantee: 'at-least-once', ordering: 'none' })
})

test('no row is taken before the lines of the last ones are', async () => {
  const events: string[] = []
  async function* rows() {
    for (const row of ['a', 'b']) {
      events.push(`take ${row}`)
      yield [row]
    }
  }
  const write = async (lines: string) => {
    await new Promise(setImmediate)
    events.push(`written ${lines.trim()}`)
  }
  await consoleSink({ write }).write(task(), rows(), running)
  expect(events).toEqual(['take a', 'written a', 'take b', 'written b'])
})

test('a row that is no JSON fails with its range and number, after the rows before it were told apart', async () => {
  const failed = consoleSink({ write: () => {} }).write(task(), rowsOf([1, 2], [3, 5n]), running)
  await expect(failed).rejects.toMatchObject({ code: 'RECORD', message: expect.stringContaining('Row 4 of orders/3 [120, 180)') })
})

test('an abort stops the printing with its reason', async () => {
  const controller = new AbortController()
  const reason = new Error('stop')
  const printed: string[] = []
  async function* rows() {
    yield ['first']
    controller.abort(reason)
    yield ['second']
  }
  const sink = consoleSink({ write: lines => printed.push(lines) })
  await expect(sink.write(task(), rows(), { ...running, signal: controller.signal })).rejects.toBe(reason)
  expect(printed).toEqual(['first\n'])
})

test('a write that is no function is refused', () => {
  expect(() => consoleSink({ write: 'stdout' as never })).toThrow(ConfigError)
  expect(() => consoleSink({ write: 'stdout' as never })).toThrow(
    'consoleSink: write is "stdout": expected a function that takes whole lines',
  )
})

describe('stdout', () => {
  test('gets every row, also through a pipe that is read slowly', async () => {
    const child = print(50_000)
    await once(child.stdout, 'readable')
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
    const lines = output.trimEnd().split('\n')
    expect(code).toBe(0)
    expect(lines.length).toBe(50_000)
    expect(lines.every((line, id) => JSON.parse(line).id === id)).toBe(true)
  })

  test('that nobody reads any more fails the task instead of ending the process', async () => {
    const child = print(1_000_000)
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const [errors] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(errors).toBe('CONNECTION: Cannot write rows to stdout: write EPIPE\n')
  })
})
