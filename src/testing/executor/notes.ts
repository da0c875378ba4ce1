import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { threadId } from 'node:worker_threads'
import { ConfigError } from '../../core/errors.ts'
import type { Isolation } from '../../core/source.ts'
import type { OffsetRange, Task } from '../../core/values.ts'

/** Where the contract's job notes what it does: a folder that all its threads and processes are told of by their environment. */
const DIRECTORY = 'TIDEMARK_CONTRACT_DIR'

/** A thread of a process: where tasks run. */
export type WorkerId = { readonly pid: number; readonly threadId: number }

/** What the contract's job did, and where. */
export type Note = WorkerId &
  (
    | { readonly what: 'open'; readonly output: string; readonly stream: string; readonly streamId: string }
    | { readonly what: 'close'; readonly output: string }
    | { readonly what: 'read'; readonly range: OffsetRange; readonly isolation: Isolation | undefined }
    /** Rows that reached an output, in the order in which they came. */
    | { readonly what: 'rows'; readonly task: Task; readonly rows: readonly unknown[] }
    | { readonly what: 'wrote'; readonly task: Task }
    | { readonly what: 'failed'; readonly task: Task; readonly message: string }
  )

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** This thread. */
export const here: WorkerId = { pid: process.pid, threadId }

/** The folder of one stream: every test has a stream of its own, and so a folder. */
export function folderOf(stream: string): string {
  const directory = process.env[DIRECTORY]
  if (directory === undefined) {
    throw new ConfigError(
      `${DIRECTORY} is not set where the executor contract's job runs. The executor's threads and processes must be given the environment ` +
        "that the contract's open() is told of.",
    )
  }
  return join(directory, stream)
}

/** Makes the folder of a stream, in a temporary directory unless the environment names one. */
export function makeFolder(stream: string): string {
  if (process.env[DIRECTORY] === undefined) {
    const directory = mkdtempSync(join(tmpdir(), 'tidemark-contract-'))
    process.env[DIRECTORY] = directory
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  }
  const folder = folderOf(stream)
  mkdirSync(folder)
  return folder
}

/** What an executor's processes must find in their environment. */
export function contractEnvironment(): Readonly<Record<string, string>> {
  return { [DIRECTORY]: process.env[DIRECTORY] ?? '' }
}

/** Notes at once, so that it is there even where the thread ends in the next line. Each thread has a file of its own. */
export function note(folder: string, entry: Without<Note, keyof WorkerId>): void {
  const line = JSON.stringify({ ...here, ...entry }, (_, value) => (typeof value === 'bigint' ? String(value) : value))
  appendFileSync(join(folder, `${here.pid}-${here.threadId}.notes`), `${line}\n`)
}

/** All that was noted: thread by thread, and of one thread in the order in which it happened. */
export function readNotes(folder: string): Note[] {
  const files = readdirSync(folder).filter(file => file.endsWith('.notes'))
  return files.flatMap(file => {
    // What follows the last line break is the beginning of a line whose thread was killed, or is at it.
    const lines = readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1)
    return lines.map((line): Note => JSON.parse(line))
  })
}

/** Lets tasks that are held go on: all of them, or those of one worker. */
export function openGate(folder: string, worker?: WorkerId): void {
  writeFileSync(gateOf(folder, worker), '')
}

/** Whether tasks that are held may go on in this thread. */
export function isGateOpen(folder: string): boolean {
  return existsSync(gateOf(folder)) || existsSync(gateOf(folder, here))
}

function gateOf(folder: string, worker?: WorkerId): string {
  return join(folder, worker === undefined ? 'go' : `go-${worker.pid}-${worker.threadId}`)
}
