import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { surgeryJob } from './surgery-job.ts'
import { TerminalProcess } from './terminal-process.ts'
import { tidemark } from './tidemark-process.ts'

const CTRL_C = '\u0003'
const CTRL_Z = '\u001a'
const node = `'${process.execPath}' --conditions=tidemark-source`
const script = (name: string) => `'${fileURLToPath(new URL(name, import.meta.url))}'`
const ALL = ['backfill', 'orders.ts', '--from', 'earliest', '--to', 'latest', '--output', 'files']

function backfillInTerminal(cwd: string, ...args: readonly string[]): TerminalProcess {
  return new TerminalProcess([node, script('./tidemark-child.ts'), ...ALL, ...args].join(' '), { cwd })
}

describe('a backfill in a terminal', () => {
  test('asks before it begins; p pauses it, r goes on, Ctrl-C finishes its batch; and the terminal is as it was', async () => {
    const cwd = surgeryJob()
    const terminal = backfillInTerminal(cwd, '--max-rate', '5')
    await terminal.shows('Begin it? [y/N] ')
    terminal.type('y\r')
    await terminal.shows(' records/s')
    await terminal.shows('paused: the batch in hand is finished, and none is begun until r', { pressing: 'p' })
    await terminal.shows('bytes  paused')
    await terminal.shows('going on', { pressing: 'r' })
    terminal.type(CTRL_C)
    expect(await terminal.ended).toBe(0)
    expect(terminal.screen).toContain('stopping when the batch in hand is committed')
    expect(terminal.screen).toMatch(/orders~backfill-1: stopped, \d+ records/)
    expect(terminal.screen).toMatch(/\nicanon\r\n$/)
    const rest = await tidemark([...ALL, '--yes'], { cwd })
    expect(rest.stdout).toContain('With what it had done before, all of its 300 offsets are done.\n')
  })

  test('that nobody agrees to is not begun', async () => {
    const cwd = surgeryJob()
    const terminal = backfillInTerminal(cwd)
    await terminal.shows('Begin it? [y/N] ')
    terminal.type('\r')
    expect(await terminal.ended).toBe(0)
    expect(terminal.screen).toContain('Nothing was run.')
    expect((await tidemark(['streams', '--store', 'sqlite:orders.offsets.db'], { cwd })).stdout).toBe('The store has no streams.\n')
  })
})

test('who hears keys goes on in the background, where a terminal stops whoever reads or sets it, and hears them again in the foreground', async () => {
  const file = join(temporaryFolder(), 'told')
  const tell = (text: string) => writeFileSync(file, text)
  tell('')
  const shell = new TerminalProcess('bash --norc --noediting -i', { cwd: temporaryFolder(), env: { PS1: '$ ' } })
  shell.type(`${node} ${script('./keys-child.ts')} '${file}' &\n`)
  tell('in the background')
  await shell.shows('told in the background')
  shell.type('fg\n')
  await shell.shows('key p', { pressing: 'p' })
  await shell.shows('Stopped', { pressing: CTRL_Z })
  shell.type('bg\n')
  tell('behind bg')
  await shell.shows('told behind bg')
  shell.type('fg\n')
  await shell.shows('key q', { pressing: 'q' })
  tell('end')
  await shell.shows('told end')
  shell.type('exit\n')
  expect(await shell.ended).toBe(0)
  expect(shell.screen).toMatch(/\nicanon\r\n$/)
})
