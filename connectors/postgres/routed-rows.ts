import { ConfigError, RecordError } from '../../src/core/errors.ts'
import { placeDetails } from '../../src/core/name-row.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { showValue } from '../../src/util/show-value.ts'
import { RowEncoder, RowRefused } from './copy/row-encoder.ts'
import { type Look, type RoutedMode, type RoutedTables, withRow } from './routed-tables.ts'
import { refusedRow } from './row-error.ts'
import { planTarget, type Target } from './target.ts'

/** The most bytes of one table that wait to be sent, and of all tables of a task together. */
const MOST_OF_TABLE = 1024 * 1024
const MOST_OF_TASK = 8 * 1024 * 1024

/** Rows of one table that go out together. */
export type RoutedPart = {
  readonly target: Target
  readonly messages: readonly Buffer[]
  /** By line of the COPY, the row's place in the task. */
  readonly places: readonly number[]
}

type TableRows = { readonly target: Target; readonly encoder: RowEncoder; messages: Buffer[]; places: number[]; size: number }

/**
 * A task's rows on their way to the tables that they are routed to, encoded a table at a time into buffers of bounded size. Rows keep their order within
 * a table, and their place in the task: by that the last row of a key counts, and a row that is refused is named.
 */
export class RoutedRows {
  readonly task: Task
  readonly #mode: RoutedMode
  readonly #tables: RoutedTables
  readonly #iterator: AsyncIterator<readonly unknown[]>
  readonly #byName = new Map<string, TableRows>()
  readonly #names = new Set<string>()
  readonly #one: unknown[] = [undefined]
  #size = 0
  #count = 0
  #isDone = false

  constructor(task: Task, rows: AsyncIterable<readonly unknown[]>, mode: RoutedMode, tables: RoutedTables) {
    this.task = task
    this.#mode = mode
    this.#tables = tables
    this.#iterator = rows[Symbol.asyncIterator]()
  }

  /** Rows encoded so far. */
  get count(): number {
    return this.#count
  }

  /** The names of tables that rows gave, also of one that something is wrong with. */
  get names(): Iterable<string> {
    return this.#names
  }

  /** Each table that has rows, in an order that is the same for all tasks: so merges of two tasks cannot wait for each other. */
  get targets(): readonly Target[] {
    return [...this.#all()].map(({ target }) => target).sort((a, b) => (a.table.quoted < b.table.quoted ? -1 : 1))
  }

  /** Draws rows until something is full. True when all are drawn. Throws `RecordError`, what is wrong with a table, or what the rows threw. */
  async draw(look: Look): Promise<boolean> {
    while (!this.#isDone && !this.#isFull()) {
      const next = await this.#iterator.next()
      if (next.done === true) this.#isDone = true
      else await this.#add(next.value, look)
    }
    return this.#isDone
  }

  /** What is to be sent now: the tables whose buffers are full, the largest where all together are too large, or all that is left. */
  take(): readonly RoutedPart[] {
    const waiting = [...this.#all()].sort((a, b) => b.size - a.size)
    if (this.#isDone) return waiting.map(rows => this.#takeOf(rows)).filter(({ places }) => places.length > 0)
    // Half of it, for who sends only as much as he must sends little each time.
    const mostLeft = this.#size >= MOST_OF_TASK ? MOST_OF_TASK / 2 : MOST_OF_TASK
    const parts: RoutedPart[] = []
    for (const rows of waiting) {
      if (rows.size < MOST_OF_TABLE && this.#size <= mostLeft) break
      parts.push(this.#takeOf(rows))
    }
    return parts
  }

  /** Lets the source go. */
  async close(): Promise<void> {
    if (!this.#isDone) await this.#iterator.return?.()
  }

  async #add(rows: readonly unknown[], look: Look): Promise<void> {
    const one = this.#one
    for (const row of rows) {
      const name = this.#nameOf(row)
      const table = this.#byName.get(name) ?? (await this.#begin(name, row, look))
      const { encoder, places } = table
      one[0] = row
      encoder.count = this.#count
      try {
        encoder.encode(one, message => this.#keep(table, message))
      } catch (error) {
        throw error instanceof RowRefused ? refusedRow(error, this.task, name) : error
      }
      places.push(this.#count)
      this.#count += 1
    }
  }

  #nameOf(row: unknown): string {
    const name = this.#mode.route(row as never)
    if (typeof name === 'string' && name !== '') return name
    const { batchId, output, range } = this.task
    throw new RecordError(
      `Row ${this.#count + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) has no table: the function table of postgresSink gave ` +
        `${showValue(name)} for it, and must give a table's name. Mend it, or leave such rows out with a filter() before this output.`,
      { details: placeDetails({ task: this.task, place: this.#count }) },
    )
  }

  async #begin(name: string, row: unknown, look: Look): Promise<TableRows> {
    if (typeof row !== 'object' || row === null) {
      throw refusedRow(new RowRefused(this.#count, undefined, row, 'expected an object with a value a column'), this.task, name)
    }
    this.#names.add(name)
    const first = { task: this.task, place: this.#count }
    const table = await this.#tables.find(name, first, look)
    // Two names of one table, such as `orders` and `public.orders`: with a staging table each its rows would be merged twice.
    let rows = [...this.#all()].find(({ target }) => target.table.quoted === table.quoted)
    if (rows === undefined) {
      this.#checkRoom(name)
      try {
        const target = planTarget(table, { ...this.#mode, table: name }, row as Readonly<Record<string, unknown>>)
        const marks = target.isStaged ? { isDeleted: this.#mode.deleteWhen } : undefined
        rows = { target, encoder: new RowEncoder(target.encoded, target.absent, marks), messages: [], places: [], size: 0 }
      } catch (error) {
        throw withRow(error, name, first)
      }
    }
    this.#byName.set(name, rows)
    return rows
  }

  #checkRoom(name: string): void {
    const { maxTables } = this.#mode
    if (this.#all().size < maxTables) return
    const error = new ConfigError(
      `postgresSink: rows of one task go to more than ${maxTables} tables. Raise maxTables (each takes some memory and locks of the server), route by ` +
        'something that has fewer values, or make batches smaller.',
      { details: { maxTables } },
    )
    throw withRow(error, name, { task: this.task, place: this.#count })
  }

  #all(): ReadonlySet<TableRows> {
    return new Set(this.#byName.values())
  }

  #isFull(): boolean {
    if (this.#size >= MOST_OF_TASK) return true
    for (const { size } of this.#byName.values()) if (size >= MOST_OF_TABLE) return true
    return false
  }

  #keep(rows: TableRows, message: Buffer): void {
    rows.messages.push(message)
    rows.size += message.length
    this.#size += message.length
  }

  #takeOf(rows: TableRows): RoutedPart {
    const rest = rows.encoder.takeRest()
    const { target, messages, places, size } = rows
    this.#size -= size
    rows.messages = []
    rows.places = []
    rows.size = 0
    return { target, messages: rest === undefined ? messages : [...messages, rest], places }
  }
}
