import { errorMessage } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { type PartitionOffset, partitionKey } from '../core/values.ts'
import type { JobSource } from './driver-job.ts'
import type { Planner } from './planner.ts'

/**
 * Tells sources that keep a consumer group for Kafka's own tools how far the stream has committed. Cosmetic: nothing waits for it, what comes while one
 * is under way goes with the next, and a failure is logged once and ends nothing.
 */
export class GroupMirrors {
  readonly #planner: Planner
  readonly #mirrors: ReadonlyMap<JobSource, GroupMirror>

  constructor(planner: Planner, sources: readonly JobSource[], log: Log) {
    this.#planner = planner
    const withGroup = sources.filter(({ source }) => source.commitToGroup !== undefined)
    this.#mirrors = new Map(withGroup.map(source => [source, new GroupMirror(source, log)]))
  }

  /** Takes note of positions that are committed, and sends them when it can. */
  send(positions: readonly PartitionOffset[]): void {
    if (this.#mirrors.size === 0) return
    for (const [source, own] of this.#planner.bySource(positions)) this.#mirrors.get(source)?.send(own)
  }

  /** Waits for what is under way, for `withinMs` at the longest. */
  async close(withinMs: number): Promise<void> {
    await Promise.all(Array.from(this.#mirrors.values(), mirror => mirror.close(withinMs)))
  }
}

/** The group of one source. */
class GroupMirror {
  readonly #source: JobSource
  readonly #log: Log
  readonly #unsent = new Map<string, PartitionOffset>()
  readonly #closing = new AbortController()
  #sending: Promise<void> | undefined
  #told = ''

  constructor(source: JobSource, log: Log) {
    this.#source = source
    this.#log = log
  }

  send(positions: readonly PartitionOffset[]): void {
    for (const position of positions) this.#unsent.set(partitionKey(position), position)
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined
    })
  }

  async close(withinMs: number): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(new Error('the stream is closing')), withinMs)
    await this.#sending
    clearTimeout(timer)
  }

  async #sendAll(): Promise<void> {
    while (this.#unsent.size > 0 && !this.#closing.signal.aborted) {
      const positions = [...this.#unsent.values()]
      this.#unsent.clear()
      try {
        await this.#source.source.commitToGroup?.(positions, { signal: this.#closing.signal })
        this.#told = ''
      } catch (error) {
        const message = errorMessage(error)
        if (message !== this.#told) this.#log.warn({ source: this.#source.name }, `the group's offsets are not kept: ${message}`)
        this.#told = message
      }
    }
  }
}
