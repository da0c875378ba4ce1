import { ConflictError, FencedError, LedgerConflictError } from '../core/errors.ts'
import type { FenceMark, Guarantee, Ordering, Sink } from '../core/sink.ts'
import { type OffsetRange, sameRange, showRange, type Task } from '../core/values.ts'

/** A task whose rows are in. */
export type CollectedTask<Row> = { readonly task: Task; readonly rows: readonly Row[] }

/** Which attempt fails, and when: before a row is read, after all are read and none is in, or after all are in (an answer that got lost). */
export type SinkFailure = {
  readonly batchId?: number
  readonly index?: number
  /** @default 'start' */
  readonly at?: 'start' | 'rows' | 'applied'
  /** @default 1 */
  readonly times?: number
}

export type CollectingSinkOptions = {
  /** @default 'collect' */
  readonly name?: string
  /** @default 'exactly-once' */
  readonly guarantee?: Guarantee
  /** @default 'none' */
  readonly ordering?: Ordering
}

/**
 * A sink that keeps its rows, with the semantics of the guarantee it claims: a fence and a ledger for `exactly-once`, a name a task for
 * `idempotent`, and rows as they come for `at-least-once`. What it holds outlives `close`, as a destination does, so several drivers one after
 * another can be given the same one.
 */
export function collectingSink<Row>(options: CollectingSinkOptions = {}): CollectingSink<Row> {
  return new CollectingSink(options)
}

export class CollectingSink<Row> implements Sink<Row> {
  readonly name: string
  readonly guarantee: Guarantee
  readonly ordering: Ordering
  /** What was applied, in that order; under `at-least-once` an attempt that failed midway is here with the rows it got in. */
  readonly collected: CollectedTask<Row>[] = []
  /** Every mark that `fence` was called with, refused ones too. */
  readonly marks: FenceMark[] = []
  /** Every call of `write`, refused ones too. */
  readonly attempts: Task[] = []
  readonly #fences = new Map<string, FenceMark>()
  readonly #ledger = new Map<string, { readonly batchId: number; readonly range: OffsetRange }>()
  #failures: { readonly error: unknown; readonly failure: SinkFailure }[] = []

  constructor(options: CollectingSinkOptions) {
    this.name = options.name ?? 'collect'
    this.guarantee = options.guarantee ?? 'exactly-once'
    this.ordering = options.ordering ?? 'none'
  }

  /** All rows that are in, in the order their tasks were applied. */
  get rows(): Row[] {
    return this.collected.flatMap(({ rows }) => rows)
  }

  /** The next attempts that fit `failure` reject with `error`. */
  failNext(error: unknown, failure: SinkFailure = {}): void {
    for (let time = 0; time < (failure.times ?? 1); time++) this.#failures.push({ error, failure })
  }

  async fence(mark: FenceMark): Promise<void> {
    this.marks.push(mark)
    const row = this.#fences.get(outputKey(mark))
    if (this.guarantee === 'exactly-once' && row !== undefined) checkWitness(this.name, row, mark)
    this.#fences.set(outputKey(mark), mark)
    for (const [key, { batchId }] of this.#ledger) {
      if (key.startsWith(`${outputKey(mark)} `) && batchId <= mark.lastComplete) this.#ledger.delete(key)
    }
  }

  async applied(task: Task): Promise<boolean> {
    return this.guarantee === 'exactly-once' && this.#isApplied(task)
  }

  async write(task: Task, rows: AsyncIterable<readonly Row[]>, context: { readonly signal: AbortSignal }): Promise<void> {
    this.attempts.push(task)
    this.#failAt('start', task)
    if (this.guarantee === 'exactly-once') {
      if (this.#isApplied(task)) return
      this.#checkFence(task)
    }
    const gathered: Row[] = []
    if (this.guarantee === 'at-least-once') this.collected.push({ task, rows: gathered })
    for await (const chunk of rows) {
      context.signal.throwIfAborted()
      for (const row of chunk) gathered.push(row)
    }
    context.signal.throwIfAborted()
    this.#failAt('rows', task)
    this.#apply(task, gathered)
    this.#failAt('applied', task)
  }

  async close(): Promise<void> {}

  /** One step without a wait inside, as a transaction is: what `fence` allowed when it began still holds when the rows are in. */
  #apply(task: Task, rows: readonly Row[]): void {
    switch (this.guarantee) {
      case 'exactly-once':
        if (this.#isApplied(task)) return
        this.#checkFence(task)
        this.#ledger.set(taskKey(task), { batchId: task.batchId, range: task.range })
        this.collected.push({ task, rows })
        return
      case 'idempotent': {
        const place = this.collected.findIndex(other => taskKey(other.task) === taskKey(task) && sameRange(other.task.range, task.range))
        if (place === -1) this.collected.push({ task, rows })
        else this.collected[place] = { task, rows }
        return
      }
      case 'at-least-once':
        return
      default:
        this.guarantee satisfies never
    }
  }

  #isApplied(task: Task): boolean {
    const entry = this.#ledger.get(taskKey(task))
    if (entry === undefined) return false
    if (sameRange(entry.range, task.range)) return true
    throw new LedgerConflictError(
      `${this.name} holds task ${task.index} of batch ${task.batchId} as ${showRange(entry.range)}; it was sent again as ${showRange(task.range)}.`,
      { details: { task, applied: entry.range } },
    )
  }

  #checkFence(task: Task): void {
    const fence = this.#fences.get(outputKey(task))
    if (fence !== undefined && fence.epoch === task.epoch && task.batchId > fence.lastComplete) return
    const stands = fence === undefined ? 'was never raised' : `stands at epoch ${fence.epoch}, batch ${fence.lastComplete} complete`
    throw new FencedError(
      `Write refused: ${showRange(task.range)} of batch ${task.batchId} carries epoch ${task.epoch}; the fence of ${this.name} ${stands}.`,
      { details: { task } },
    )
  }

  #failAt(at: 'start' | 'rows' | 'applied', task: Task): void {
    const due = this.#failures.find(
      ({ failure }) =>
        (failure.at ?? 'start') === at &&
        (failure.batchId ?? task.batchId) === task.batchId &&
        (failure.index ?? task.index) === task.index,
    )
    if (due === undefined) return
    this.#failures = this.#failures.filter(other => other !== due)
    throw due.error
  }
}

function outputKey({ stream, output }: { readonly stream: string; readonly output: string }): string {
  return JSON.stringify([stream, output])
}

function taskKey(task: Task): string {
  return `${outputKey(task)} ${task.batchId} ${task.index}`
}

/** The destination is a witness against the store: what it has seen tells a lost, rolled-back or replaced store from a healthy one. */
function checkWitness(name: string, row: FenceMark, mark: FenceMark): void {
  const details = { seen: row, mark }
  if (row.streamId !== mark.streamId) {
    throw new ConflictError(`${name} belongs to stream id ${row.streamId}, the store says ${mark.streamId}: the store was replaced.`, {
      details,
    })
  }
  if (mark.epoch < row.epoch) {
    throw new FencedError(
      `Fence refused: ${mark.stream} carries epoch ${mark.epoch}, ${name} is at ${row.epoch}. Another driver took over.`,
      { details },
    )
  }
  if (mark.epoch === row.epoch && mark.owner !== row.owner) {
    throw new ConflictError(`${name} knows epoch ${row.epoch} as ${row.owner}'s, the store granted it to ${mark.owner} too.`, { details })
  }
  if (mark.lastBegun < row.lastBegun || mark.lastComplete < row.lastComplete) {
    throw new ConflictError(`${name} has seen batch ${row.lastBegun}, the store knows ${mark.lastBegun}: the store was rolled back.`, {
      details,
    })
  }
  if (mark.lastComplete > row.lastBegun) {
    throw new ConflictError(`${name} has seen batch ${row.lastBegun}, the store ${mark.lastComplete}: the destination was rolled back.`, {
      details,
    })
  }
}
