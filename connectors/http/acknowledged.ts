import { createHash } from 'node:crypto'
import type { Task } from '../../src/core/values.ts'
import type { RowChunk } from './chunk-rows.ts'

/** What one attempt of a task had taken, for the next. */
export type TaskProgress = {
  /** Whether the endpoint has said yes to this very body. */
  has(chunk: RowChunk): boolean
  note(chunk: RowChunk): void
}

/**
 * Which requests of tasks that have not ended yet were taken, as long as this process lives: an attempt that follows an outage goes on behind them, and an
 * endpoint that knows no keys has their rows once. Nothing rests on it: what another process sent is sent again.
 *
 * By the digest of the body, and not by the number alone: were a function of the job to give other rows the second time, a number would pass over rows that
 * nobody has.
 */
export class Acknowledged {
  readonly #tasks = new Map<string, { readonly batchId: number; readonly digests: Map<number, string> }>()

  of(streamId: string, { stream, output, index, batchId }: Task): TaskProgress {
    const name = nameOf(streamId, { stream, output, index })
    const known = this.#tasks.get(name)
    const { digests } = known?.batchId === batchId ? known : { digests: new Map<number, string>() }
    this.#tasks.set(name, { batchId, digests })
    return {
      has: chunk => digests.has(chunk.number) && digests.get(chunk.number) === digestOf(chunk),
      note: chunk => void digests.set(chunk.number, digestOf(chunk)),
    }
  }

  /** The task has ended well: it does not come again. */
  forget(streamId: string, task: Task): void {
    this.#tasks.delete(nameOf(streamId, task))
  }
}

function nameOf(streamId: string, { stream, output, index }: Pick<Task, 'stream' | 'output' | 'index'>): string {
  return JSON.stringify([streamId, stream, output, index])
}

function digestOf({ body }: RowChunk): string {
  return createHash('sha256').update(body).digest('base64')
}
