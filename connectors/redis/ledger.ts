import { TidemarkError } from '../../src/core/errors.ts'
import { checkApplied, checkFence, type FenceRow, fenceRowOf, taskFenced } from '../../src/core/fence-rules.ts'
import type { FenceMark } from '../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../src/core/values.ts'
import type { RedisConnection } from './connection.ts'
import type { LedgerKeys } from './keys.ts'
import { LOOK, RAISE } from './scripts.ts'

/** How far a task is in. */
export type TaskProgress = { readonly rows: number; readonly isAll: boolean }

const FIELDS = ['streamId', 'epoch', 'owner', 'lastBegun', 'lastComplete'] as const

/** Fence and ledger of one output of one stream, as Redis has them. */
export class Ledger {
  readonly keys: LedgerKeys
  readonly destination: string
  /** The stream's id by the store: an attempt of a store that was replaced may carry the epoch of today. */
  streamId = ''
  readonly #connection: RedisConnection
  /** The fence as this process wrote it last: usually it is still that, and then one script raises it. */
  #known: FenceRow | undefined

  constructor(connection: RedisConnection, keys: LedgerKeys, destination: string) {
    this.#connection = connection
    this.keys = keys
    this.destination = destination
  }

  async raise(mark: FenceMark): Promise<void> {
    for (;;) {
      const known = this.#known
      // Until it is raised again: an answer that gets lost may leave another fence than the one known, and a ledger that is trimmed already.
      this.#known = undefined
      const row = known ?? (await this.loadFence())
      try {
        await checkFence(this.destination, row, mark, batchId => this.#countApplied(batchId))
      } catch (error) {
        // What is known is no ground for a refusal, nor for naming the batches that are missing.
        if (known === undefined) throw error
        continue
      }
      const next = fenceRowOf(mark)
      if (await this.#swap(row, next, mark)) {
        this.#known = next
        return
      }
    }
  }

  /** What of a task is in. Throws `LedgerConflictError` where it is there with another range. */
  async progressOf(task: Task): Promise<TaskProgress> {
    const entry = await this.#look(this.keys.ledger, 'HGET', fieldOf(task))
    if (entry === null) return { rows: 0, isAll: false }
    const [rows = '0', isAll, ...range] = String(entry).split(' ')
    checkApplied(this.destination, parseRange(range.join(' ')), task)
    return { rows: Number(rows), isAll: isAll === '1' }
  }

  async loadFence(): Promise<FenceRow | undefined> {
    const [streamId, epoch, owner, lastBegun, lastComplete] = (await this.#look(this.keys.fence, 'HMGET', ...FIELDS)) as (string | null)[]
    if (streamId === null || streamId === undefined) return undefined
    return { streamId, epoch: Number(epoch), owner: owner ?? '', lastBegun: Number(lastBegun), lastComplete: Number(lastComplete) }
  }

  /** Turns down what the script refused. */
  async refuse(task: Task, answer: readonly unknown[]): Promise<never> {
    const [reason, what] = answer.map(String)
    switch (reason) {
      case 'fenced':
        throw taskFenced(this.destination, await this.loadFence(), task)
      case 'conflict':
        checkApplied(this.destination, parseRange(what ?? ''), task)
        throw new Error(`a conflict of the same range: ${what}`)
      default:
        // Its twin is ahead of it, and both would send the same rows: later it finds what the twin has left.
        throw new TidemarkError(
          'CONFLICT',
          `Task ${task.index} of batch ${task.batchId} is being written by another attempt, which has ${what} rows in ${this.destination}.`,
          { details: { task }, retryable: true },
        )
    }
  }

  async #swap(row: FenceRow | undefined, next: FenceRow, mark: FenceMark): Promise<boolean> {
    const was = row === undefined ? '' : FIELDS.map(field => row[field]).join('\n')
    // After a look by a person, batches that the store does not know will be given to other ranges; those of another stream mean nothing.
    const isOther = row !== undefined && row.streamId !== mark.streamId
    const upTo = mark.adopt === true && isOther ? Number.MAX_SAFE_INTEGER : mark.lastComplete
    const above = mark.adopt === true ? mark.lastBegun : Number.MAX_SAFE_INTEGER
    const values = [...FIELDS.map(field => next[field]), upTo, above].map(String)
    return (await this.#connection.run(RAISE, [this.keys.fence, this.keys.ledger], [was, ...values])) === 1
  }

  #look(key: string, ...command: readonly string[]): Promise<unknown> {
    return this.#connection.run(LOOK, [key], command)
  }

  /** Tasks of a batch that are in whole. */
  async #countApplied(batchId: number): Promise<number> {
    const entries = (await this.#look(this.keys.ledger, 'HGETALL')) as readonly string[] | Readonly<Record<string, string>>
    const pairs = Array.isArray(entries) ? pairUp(entries) : Object.entries(entries)
    return pairs.filter(([field, entry]) => field.startsWith(`${batchId}:`) && entry.split(' ')[1] === '1').length
  }
}

/** The ledger's field of a task. */
export function fieldOf({ batchId, index }: Task): string {
  return `${batchId}:${index}`
}

/** A range as the ledger keeps it; the topic comes last, for it may hold anything. */
export function rangeText({ topic, partition, fromOffset, untilOffset }: OffsetRange): string {
  return `${partition} ${fromOffset} ${untilOffset} ${topic}`
}

function parseRange(text: string): OffsetRange {
  const [partition, fromOffset, untilOffset, ...topic] = text.split(' ')
  return { topic: topic.join(' '), partition: Number(partition), fromOffset: Number(fromOffset), untilOffset: Number(untilOffset) }
}

function pairUp(flat: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] ?? '', flat[at + 1] ?? ''])
  return pairs
}
