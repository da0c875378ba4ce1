import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { listFiles } from './list-files.ts'

const ROWS_AT_A_TIME = 1_000

/** The rows of a directory's JSONL files, whole batches only: what its manifest says. */
export async function* readJsonlRows(directory: string, signal: AbortSignal): AsyncGenerator<readonly unknown[]> {
  for (const { path, format } of await listFiles(directory)) {
    if (format !== 'jsonl') continue
    let rows: unknown[] = []
    for await (const line of createInterface({ input: opened(path), crlfDelay: Number.POSITIVE_INFINITY })) {
      signal.throwIfAborted()
      if (line !== '') rows.push(JSON.parse(line))
      if (rows.length < ROWS_AT_A_TIME) continue
      yield rows
      rows = []
    }
    if (rows.length > 0) yield rows
  }
}

function opened(path: string): Readable {
  const bytes = createReadStream(path)
  const name = path.replace(/\.part$/, '')
  const unpack = name.endsWith('.gz') ? createGunzip() : name.endsWith('.zst') ? createZstdDecompress() : undefined
  if (unpack === undefined) return bytes
  bytes.on('error', error => unpack.destroy(error))
  return bytes.pipe(unpack)
}
