import type { Task } from '../../src/core/values.ts'
import { RowEncoder, RowRefused } from './copy/row-encoder.ts'
import { refusedRow } from './row-error.ts'
import type { Table } from './table.ts'
import { planTarget, type TableMode, type Target } from './target.ts'

/** Up to so many bytes of rows a task is held in memory whole, so that it can go in one transaction with others. */
const SMALL_TASK = 256 * 1024

type Rows = AsyncIterable<readonly unknown[]>

/** A task of few rows, encoded. */
export type SmallTask = {
  readonly task: Task
  readonly target: Target | undefined
  readonly messages: readonly Buffer[]
  readonly count: number
}

/**
 * A task's rows on their way to the server. First as many as a small task has are drawn; what comes after those is encoded only as fast as it is sent.
 * Nothing of the server is held meanwhile.
 */
export class EncodedRows {
  readonly task: Task
  readonly #iterator: AsyncIterator<readonly unknown[]>
  readonly #table: Table
  readonly #mode: TableMode
  #messages: Buffer[] = []
  #size = 0
  #encoder: RowEncoder | undefined
  #target: Target | undefined
  #isDone = false

  constructor(task: Task, rows: Rows, table: Table, mode: TableMode) {
    this.task = task
    this.#iterator = rows[Symbol.asyncIterator]()
    this.#table = table
    this.#mode = mode
  }

  /** How the rows are written; undefined while none has come. */
  get target(): Target | undefined {
    return this.#target
  }

  /** Rows encoded so far. */
  get count(): number {
    return this.#encoder?.count ?? 0
  }

  /** All of it where it is small, else undefined, with what was drawn kept for {@link messages}. Throws `RecordError`, or what the rows threw. */
  async drawSmall(): Promise<SmallTask | undefined> {
    while (this.#size <= SMALL_TASK) {
      if (!(await this.#draw())) return { task: this.task, target: this.#target, messages: this.#messages, count: this.count }
    }
    return undefined
  }

  /** All messages, those that were drawn already first. */
  async *messages(): AsyncGenerator<readonly Buffer[]> {
    for (;;) {
      const messages = this.#messages
      this.#messages = []
      if (messages.length > 0) yield messages
      if (!(await this.#draw()) && this.#messages.length === 0) return
    }
  }

  /** Lets the source go. */
  async close(): Promise<void> {
    if (!this.#isDone) await this.#iterator.return?.()
  }

  async #draw(): Promise<boolean> {
    if (this.#isDone) return false
    const next = await this.#iterator.next()
    if (next.done === true) {
      this.#isDone = true
      this.#keep(this.#encoder?.takeRest())
      return false
    }
    if (next.value.length === 0) return true
    try {
      this.#begin(next.value[0]).encode(next.value, message => this.#keep(message))
    } catch (error) {
      throw error instanceof RowRefused ? refusedRow(error, this.task) : error
    }
    return true
  }

  #begin(first: unknown): RowEncoder {
    if (this.#encoder !== undefined) return this.#encoder
    if (typeof first !== 'object' || first === null) throw new RowRefused(0, undefined, first, 'expected an object with a value a column')
    const target = planTarget(this.#table, this.#mode, first as Readonly<Record<string, unknown>>)
    this.#target = target
    this.#encoder = new RowEncoder(target.encoded, target.absent, target.isStaged ? { isDeleted: this.#mode.deleteWhen } : undefined)
    return this.#encoder
  }

  #keep(message: Buffer | undefined): void {
    if (message === undefined) return
    this.#messages.push(message)
    this.#size += message.length
  }
}
