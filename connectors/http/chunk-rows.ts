import { errorMessage, RecordError, TaskFailedError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { toJsonLine } from '../../src/util/json-line.ts'
import type { HttpRequestInfo } from './options.ts'

/** The rows of one request. */
export type RowChunk = {
  /** Its place among the task's requests, from 0. */
  readonly number: number
  /** By their place in the task, from 1, both included. */
  readonly firstRow: number
  readonly lastRow: number
  readonly body: Uint8Array
}

export type ChunkOptions = {
  readonly maxRows: number
  readonly maxBytes: number
  readonly body: 'json' | 'ndjson' | ((rows: readonly never[], request: HttpRequestInfo) => string | Uint8Array)
  /** What a function of the job is told of the chunk. */
  readonly describe: (chunk: Omit<RowChunk, 'body'>) => HttpRequestInfo
}

/**
 * Cuts a task's rows into the bodies of its requests. By rows and bytes only, and across the arrays they come in: how a range was fetched differs from one
 * attempt to the next, and a key must stand for the same rows each time.
 */
export async function* chunkRows(rows: AsyncIterable<readonly unknown[]>, task: Task, options: ChunkOptions): AsyncGenerator<RowChunk> {
  const { maxRows, maxBytes, body } = options
  // Brackets and commas take the place of the line ends of rows, and there is one more.
  const frameBytes = body === 'json' ? 1 : 0
  let number = 0
  let row = 0
  let held: unknown[] = []
  let heldBytes = frameBytes
  const take = (): RowChunk => {
    const about = { number, firstRow: row - held.length + 1, lastRow: row }
    const chunk = { ...about, body: makeBody(held, task, about, options) }
    number += 1
    held = []
    heldBytes = frameBytes
    return chunk
  }
  for await (const array of rows) {
    for (const each of array) {
      const isLine = typeof body !== 'function'
      const item = isLine ? toJsonLine(each, row, task) : each
      const bytes = isLine ? Buffer.byteLength(item as string) : 0
      if (frameBytes + bytes > maxBytes) throw tooLarge(row + 1, frameBytes + bytes, task, options)
      if (held.length > 0 && (held.length >= maxRows || heldBytes + bytes > maxBytes)) yield take()
      held.push(item)
      heldBytes += bytes
      row += 1
    }
  }
  if (held.length > 0) yield take()
}

function makeBody(held: readonly unknown[], task: Task, about: Omit<RowChunk, 'body'>, options: ChunkOptions): Uint8Array {
  const { body, maxBytes } = options
  if (body === 'ndjson') return Buffer.from(held.join(''))
  if (body === 'json') return Buffer.from(`[${held.map(line => String(line).slice(0, -1)).join(',')}]`)
  const bytes = callBody(body, held as readonly never[], task, about, options)
  if (bytes.length <= maxBytes) return bytes
  throw new TaskFailedError(
    `The body of ${showRows(about, task)} has ${bytes.length} bytes, and output ${task.output} sends at most ${maxBytes} in one request: lower ` +
      'maxRowsPerRequest, or raise maxBytesPerRequest if the endpoint takes as much.',
    { details: detailsOf(about, task) },
  )
}

function callBody(
  body: Exclude<ChunkOptions['body'], string>,
  rows: readonly never[],
  task: Task,
  about: Omit<RowChunk, 'body'>,
  { describe }: ChunkOptions,
): Uint8Array {
  let made: unknown
  try {
    made = body(rows, describe(about))
  } catch (error) {
    throw new TaskFailedError(`The body function of output ${task.output} failed on ${showRows(about, task)}: ${errorMessage(error)}`, {
      details: detailsOf(about, task),
      cause: error,
    })
  }
  if (typeof made === 'string') return Buffer.from(made)
  if (made instanceof Uint8Array) return made
  throw new TaskFailedError(
    `The body function of output ${task.output} gave ${made === null ? 'null' : `a ${typeof made}`} for ${showRows(about, task)}, and no text or bytes.`,
    { details: detailsOf(about, task) },
  )
}

/** Rows of a task, as messages name them. */
export function showRows({ firstRow, lastRow }: Omit<RowChunk, 'body'>, { range, batchId }: Task): string {
  const rows = firstRow === lastRow ? `row ${firstRow}` : `rows ${firstRow} to ${lastRow}`
  return `${rows} of ${showRange(range)} (batch ${batchId})`
}

/** What programs are told of a chunk that failed. */
export function detailsOf({ firstRow, lastRow, number }: Omit<RowChunk, 'body'>, { stream, batchId, output, range }: Task) {
  const { topic, partition, fromOffset, untilOffset } = range
  return { stream, batchId, output, topic, partition, fromOffset, untilOffset, chunk: number, firstRow, lastRow }
}

function tooLarge(row: number, bytes: number, task: Task, { maxBytes }: ChunkOptions): RecordError {
  const about = { number: 0, firstRow: row, lastRow: row }
  return new RecordError(
    `The JSON of ${showRows(about, task)} has ${bytes} bytes, and output ${task.output} sends at most ${maxBytes} in one request: raise ` +
      'maxBytesPerRequest if the endpoint takes as much, or leave the row out with a filter().',
    { details: { ...detailsOf(about, task), row } },
  )
}
