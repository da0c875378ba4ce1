// Rows into a table of SQLite, exactly once.
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { ConfigError, type FenceMark, type OffsetRange, type Sink, type Task } from 'tidemark'
import { checkFence, checkTask, type FenceRow, fenceRowOf } from 'tidemark/rules'

export type SqliteSinkOptions = { readonly path: string; readonly table: string; readonly columns: readonly string[] }

const TABLES = `
  create table if not exists tidemark_fence (
    stream text, output text, stream_id text, epoch integer, owner text, last_begun integer, last_complete integer,
    primary key (stream, output)
  );
  create table if not exists tidemark_ledger (
    stream text, output text, batch integer, task integer, range text,
    primary key (stream, output, batch, task)
  );
`

/** The table is there already; its rows are `columns` of the job's rows. */
export function sqliteSink<Row extends Readonly<Record<string, SQLInputValue>>>(options: SqliteSinkOptions): Sink<Row> {
  for (const name of [options.table, ...options.columns]) {
    if (!/^\w+$/.test(name)) throw new ConfigError(`sqliteSink: ${name} is not a name of letters, digits and underscores.`)
  }
  return new SqliteSink(options)
}

class SqliteSink<Row extends Readonly<Record<string, SQLInputValue>>> implements Sink<Row> {
  readonly guarantee = 'exactly-once'
  /** Rows are appended, so slices of a partition may go side by side. */
  readonly ordering = 'none'
  readonly name: string
  readonly target: string
  readonly #options: SqliteSinkOptions
  #opened: DatabaseSync | undefined

  constructor(options: SqliteSinkOptions) {
    this.#options = options
    this.name = `sqlite:${options.table}`
    this.target = options.path
  }

  async prepare(): Promise<void> {
    this.#database.exec(TABLES)
  }

  /** Raises the fence. `begin immediate` is the lock: when this returns, no attempt from before can still commit. */
  async fence(mark: FenceMark): Promise<void> {
    const { stream, output } = mark
    this.#run('begin immediate')
    try {
      await checkFence(this.name, this.#fence(stream, output), mark, batchId => this.#countApplied(mark, batchId))
      const { streamId, epoch, owner, lastBegun, lastComplete } = fenceRowOf(mark)
      this.#run(
        'insert or replace into tidemark_fence values (?, ?, ?, ?, ?, ?, ?)',
        stream,
        output,
        streamId,
        epoch,
        owner,
        lastBegun,
        lastComplete,
      )
      this.#run('delete from tidemark_ledger where stream = ? and output = ? and batch <= ?', stream, output, lastComplete)
      this.#run('commit')
    } catch (error) {
      this.#run('rollback')
      throw error
    }
  }

  /** One that is in already is not read again. */
  async applied(task: Task): Promise<boolean> {
    return this.#ledger(task) !== undefined && checkTask(this.name, undefined, this.#ledger(task), task) === 'applied'
  }

  async write(task: Task, rows: AsyncIterable<readonly Row[]>): Promise<void> {
    // Gathered first, so that the lock is not held while Kafka is read; limits.maxRecordsPerTask says how many they may be.
    const all = (await Array.fromAsync(rows)).flat()
    const { table, columns } = this.#options
    const { stream, output, batchId, index, range } = task
    this.#run('begin immediate')
    try {
      if (checkTask(this.name, this.#fence(stream, output), this.#ledger(task), task) === 'applied') return this.#run('rollback')
      const insert = this.#database.prepare(`insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`)
      for (const row of all) insert.run(...columns.map(column => row[column] ?? null))
      this.#run('insert into tidemark_ledger values (?, ?, ?, ?, ?)', stream, output, batchId, index, JSON.stringify(range))
      this.#run('commit')
    } catch (error) {
      this.#run('rollback')
      throw error
    }
  }

  async close(): Promise<void> {
    this.#opened?.close()
    this.#opened = undefined
  }

  get #database(): DatabaseSync {
    if (this.#opened === undefined) {
      this.#opened = new DatabaseSync(this.#options.path, { timeout: 10_000 })
      this.#opened.exec('pragma journal_mode = wal; pragma synchronous = full')
    }
    return this.#opened
  }

  #fence(stream: string, output: string): FenceRow | undefined {
    const row = this.#one('select * from tidemark_fence where stream = ? and output = ?', stream, output)
    if (row === undefined) return undefined
    const { stream_id, epoch, owner, last_begun, last_complete } = row
    return {
      streamId: String(stream_id),
      epoch: Number(epoch),
      owner: String(owner),
      lastBegun: Number(last_begun),
      lastComplete: Number(last_complete),
    }
  }

  #ledger({ stream, output, batchId, index }: Task): OffsetRange | undefined {
    const row = this.#one(
      'select range from tidemark_ledger where stream = ? and output = ? and batch = ? and task = ?',
      stream,
      output,
      batchId,
      index,
    )
    return row && JSON.parse(String(row.range))
  }

  #countApplied({ stream, output }: FenceMark, batchId: number): number {
    const row = this.#one(
      'select count(*) as tasks from tidemark_ledger where stream = ? and output = ? and batch = ?',
      stream,
      output,
      batchId,
    )
    return Number(row?.tasks)
  }

  #one(sql: string, ...values: SQLInputValue[]) {
    return this.#database.prepare(sql).get(...values)
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#database.prepare(sql).run(...values)
  }
}
