import { checkApplied, checkFence, checkTask, type FenceRow, fenceRowOf } from '../core/fence-rules.ts'
import type { FenceMark, Guarantee, Ordering, Sink } from '../core/sink.ts'
import { type OffsetRange, sameRange, type Task } from '../core/values.ts'

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
  readonly #fences = new Map<string, FenceRow>()
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

  /** Whatever was to fail goes well from here. */
  failNothing(): void {
    this.#failures = []
  }

  async fence(mark: FenceMark): Promise<void> {
    this.marks.push(mark)
    const key = outputKey(mark)
    if (this.guarantee === 'exactly-once') {
      await checkFence(this.name, this.#fences.get(key), mark, batchId => this.#countApplied(key, batchId))
    }
    this.#fences.set(key, fenceRowOf(mark))
    for (const [task, { batchId }] of this.#ledger) {
      if (task.startsWith(`${key} `) && batchId <= mark.lastComplete) this.#ledger.delete(task)
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
    return entry !== undefined && checkApplied(this.name, entry.range, task) === 'applied'
  }

  #checkFence(task: Task): void {
    checkTask(this.name, this.#fences.get(outputKey(task)), undefined, task)
  }

  #countApplied(output: string, batchId: number): number {
    return Iterator.from(this.#ledger)
      .filter(([task, entry]) => task.startsWith(`${output} `) && entry.batchId === batchId)
      .toArray().length
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
