import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { zstdFrames } from './formats/zstd-frames.ts'
import { listFiles } from './list-files.ts'

const ROWS_AT_A_TIME = 1_000

/** The rows of a directory's JSONL files, whole batches only: what its manifest says. */
export async function* readJsonlRows(directory: string, signal: AbortSignal): AsyncGenerator<readonly unknown[]> {
  for (const { path, format } of await listFiles(directory)) {
    if (format !== 'jsonl') continue
    let rows: unknown[] = []
    for await (const line of linesOf(opened(path))) {
      signal.throwIfAborted()
      if (line !== '') rows.push(JSON.parse(line))
      if (rows.length < ROWS_AT_A_TIME) continue
      yield rows
      rows = []
    }
    if (rows.length > 0) yield rows
  }
}

/** By line feeds alone: readline also ends a line at U+2028 and U+2029, which JSON leaves in a text as they are. */
async function* linesOf(content: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let begun = ''
  for await (const bytes of content) {
    const lines = (begun + decoder.decode(bytes, { stream: true })).split('\n')
    begun = lines.pop() ?? ''
    yield* lines
  }
  yield begun + decoder.decode()
}

function opened(path: string): AsyncIterable<Buffer> {
  const name = path.replace(/\.part$/, '')
  if (name.endsWith('.zst')) return zstdFrames(path)
  const bytes = createReadStream(path)
  // What fails on the way destroys both, with its error.
  return name.endsWith('.gz') ? pipeline(bytes, createGunzip(), () => {}) : bytes
}
