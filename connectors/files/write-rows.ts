import { type FileHandle, open } from 'node:fs/promises'
import type { Task } from '../../src/core/values.ts'
import { toJsonLine } from '../../src/util/json-line.ts'
import { onDisk } from './disk-error.ts'

/** Characters gathered before a write: large enough that the call to the system costs nothing beside the JSON. */
const WRITE_SIZE = 512 * 1024

/** Writes the rows as lines of JSON into a new file at `path` and fsyncs it. Its failure leaves a partial file to the caller. */
export async function writeRows(path: string, task: Task, rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal): Promise<void> {
  const file = await onDisk('make the file', path, () => open(path, 'w'))
  try {
    await writeLines(file, path, task, rows, signal)
    await onDisk('fsync', path, () => file.sync())
  } finally {
    await file.close()
  }
}

async function writeLines(file: FileHandle, path: string, task: Task, rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal) {
  let text = ''
  let place = 0
  for await (const array of rows) {
    signal.throwIfAborted()
    for (const row of array) text += toJsonLine(row, place++, task)
    if (text.length < WRITE_SIZE) continue
    const full = text
    text = ''
    // FileHandle.writeFile goes on at the file's position and, unlike write, until all of it is in.
    await onDisk('write to', path, () => file.writeFile(full))
  }
  signal.throwIfAborted()
  if (text !== '') await onDisk('write to', path, () => file.writeFile(text))
}
