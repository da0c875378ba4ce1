import type { Task } from '../../src/core/values.ts'
import { type RowWriter, refusedRow } from './row-commands.ts'

/** Rows of one script call. Redis runs nothing else meanwhile, so they are few. */
const CHUNK_ROWS = 500
const CHUNK_BYTES = 256 * 1024

/** Consecutive rows of a task as the arguments of one script call. */
export type RowChunk = {
  readonly from: number
  readonly until: number
  readonly keys: readonly string[]
  readonly args: readonly (string | Buffer)[]
}

/**
 * Cuts a task's rows into chunks. The ledger counts rows, not chunks, so another attempt may cut them elsewhere; rows below `from` are in already and are
 * only drawn.
 */
export async function* chunkRows(
  rows: AsyncIterable<readonly unknown[]>,
  from: number,
  task: Task,
  writer: RowWriter,
  checkKey: (key: string) => void,
): AsyncGenerator<RowChunk> {
  let row = 0
  let chunk = new ChunkBuilder(from)
  for await (const array of rows) {
    for (const value of array) {
      row += 1
      if (row <= from) continue
      try {
        chunk.add(writer, value, checkKey)
      } catch (error) {
        throw refusedRow(error, row - 1, task)
      }
      if (!chunk.isFull) continue
      yield chunk.take(row)
      chunk = new ChunkBuilder(row)
    }
  }
  yield chunk.take(row)
}

class ChunkBuilder {
  readonly #from: number
  /** To the number of the script's key: fence and ledger come before. */
  readonly #keys = new Map<string, number>()
  readonly #args: (string | Buffer)[] = []
  #rows = 0
  #bytes = 0

  constructor(from: number) {
    this.#from = from
  }

  get isFull(): boolean {
    return this.#rows >= CHUNK_ROWS || this.#bytes >= CHUNK_BYTES
  }

  add(writer: RowWriter, value: unknown, checkKey: (key: string) => void): void {
    const { key, commands } = writer.write(value)
    checkKey(key)
    let number = this.#keys.get(key)
    if (number === undefined) {
      number = this.#keys.size + 3
      this.#keys.set(key, number)
    }
    for (const [name, ...args] of commands) {
      this.#args.push(String(number), String(args.length), name, ...args)
      for (const arg of args) this.#bytes += arg.length
    }
    this.#rows += 1
  }

  take(until: number): RowChunk {
    return { from: this.#from, until: Math.max(until, this.#from), keys: [...this.#keys.keys()], args: this.#args }
  }
}
