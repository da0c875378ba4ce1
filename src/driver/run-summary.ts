import type { Clock } from '../core/clock.ts'
import type { BatchInfo } from '../core/events.ts'

/** What a run did. What it found begun by an earlier run, and finished, counts as its own. */
export type RunSummary = {
  readonly reason: 'done' | 'stopped'
  readonly batches: number
  /** Records read. */
  readonly records: number
  /** Bytes fetched. */
  readonly bytes: number
  /** Rows that reached outputs, of all of them together. */
  readonly rows: number
  /** The same, by output. */
  readonly rowsByOutput: Readonly<Record<string, number>>
  /** Records that were left out because a function of the job failed on them, once an output. */
  readonly skipped: number
  /** Dead letters that went out. */
  readonly deadLetters: number
  /** Records that were left out because their timestamps were not asked for. */
  readonly outsideTime: number
  /** From the moment the run held the lease, ms. */
  readonly durationMs: number
}

/** Adds up what the batches of a run were. */
export class RunTotals {
  readonly #clock: Clock
  #startedAt: number | undefined
  #batches = 0
  #records = 0
  #bytes = 0
  #skipped = 0
  #deadLetters = 0
  #outsideTime = 0
  readonly #rows = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  start(): void {
    this.#startedAt = this.#clock.monotonic()
  }

  add({ numRecords = 0, numBytes = 0, numSkipped = 0, numDeadLetters = 0, numOutsideTime = 0, outputOperations }: BatchInfo): void {
    this.#batches += 1
    this.#records += numRecords
    this.#bytes += numBytes
    this.#skipped += numSkipped
    this.#deadLetters += numDeadLetters
    this.#outsideTime += numOutsideTime
    for (const { name, rows = 0 } of outputOperations) this.#rows.set(name, (this.#rows.get(name) ?? 0) + rows)
  }

  summary(reason: RunSummary['reason']): RunSummary {
    const now = this.#clock.monotonic()
    return {
      reason,
      batches: this.#batches,
      records: this.#records,
      bytes: this.#bytes,
      rows: Array.from(this.#rows.values()).reduce((sum, rows) => sum + rows, 0),
      rowsByOutput: Object.fromEntries(this.#rows),
      skipped: this.#skipped,
      deadLetters: this.#deadLetters,
      outsideTime: this.#outsideTime,
      durationMs: Math.round(now - (this.#startedAt ?? now)),
    }
  }
}
