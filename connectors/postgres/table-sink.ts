import type { FenceMark, ReadBackQuery, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { checkTable } from './check-table.ts'
import type { Connection } from './connection.ts'
import { applyEmpty, copyTasks, explainFailure, explainRow } from './copy-attempt.ts'
import { EncodedRows, type SmallTask } from './encoded-rows.ts'
import { GroupCommit } from './group-commit.ts'
import type { Ledger } from './ledger.ts'
import { parseTableName } from './names.ts'
import { type LedgerPlace, OutputLedgers } from './output-ledgers.ts'
import { readRows } from './read-rows.ts'
import { loadTable, type Table } from './table.ts'
import { rewrittenBy, type TableMode } from './target.ts'

type Context = Parameters<Sink<unknown>['write']>[2]

/** Rows into a table by binary COPY, each task with its ledger row in one transaction. */
export class TableSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee = 'exactly-once'
  readonly ordering: 'partition' | 'none'
  /** Of two attempts whose rows are all there the ledger takes one. */
  readonly allowsTwins = true
  readonly target?: string
  readonly rewritten: Rewritten
  readonly #mode: TableMode
  readonly #connection: Connection
  readonly #ledgers: OutputLedgers
  readonly #groups = new Map<Ledger, GroupCommit>()
  #table: Promise<Table> | undefined

  constructor(mode: TableMode, connection: Connection, { schema, target }: LedgerPlace) {
    this.name = `postgres:${mode.table}`
    this.ordering = mode.key === undefined ? 'none' : 'partition'
    this.rewritten = rewrittenBy(mode)
    if (target !== undefined) this.target = target
    this.#mode = mode
    this.#connection = connection
    this.#ledgers = new OutputLedgers(connection, schema, `Table ${mode.table} of Postgres`)
  }

  async prepare(context: SinkContext): Promise<void> {
    await this.#connection.use(async client => {
      await this.#ledgers.prepare(client, context)
      this.#table = Promise.resolve(await this.#loadTable(client, context.isOfDeadLetters))
    }, context.signal)
  }

  async open(context: SinkContext): Promise<void> {
    this.#connection.join()
    this.#ledgers.remember(context)
    await this.#tableOf()
  }

  fence(mark: FenceMark): Promise<void> {
    return this.#ledgers.fence(mark)
  }

  applied(task: Task): Promise<boolean> {
    return this.#ledgers.applied(task)
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: Context): Promise<void> {
    const ledger = this.#ledgers.of(task)
    const encoded = new EncodedRows(task, rows, await this.#tableOf(), this.#mode)
    try {
      const small = await encoded.drawSmall()
      signal.throwIfAborted()
      if (small === undefined) await this.#stream(ledger, encoded, signal)
      else await this.#groupOf(ledger).add(small, signal)
    } catch (error) {
      // The table may have been altered: the next attempt looks at it anew.
      this.#table = undefined
      throw error
    } finally {
      await encoded.close()
    }
  }

  readBack(query: ReadBackQuery): AsyncIterable<readonly unknown[]> {
    return readRows(this.#connection, this.#mode.table, query)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #stream(ledger: Ledger, encoded: EncodedRows, signal: AbortSignal): Promise<void> {
    const { task, target } = encoded
    if (target === undefined) throw new Error(`no rows of ${showRange(task.range)} to stream`)
    const copy = async (client: PostgresClient) => {
      try {
        await copyTasks(client, ledger, [task], target, encoded.messages())
      } catch (error) {
        await explainFailure(client, ledger, task, error, [target], () => explainRow(client, task, error, target, encoded.count))
      }
    }
    await this.#connection.useForRows(task, copy, signal)
  }

  #groupOf(ledger: Ledger): GroupCommit {
    let group = this.#groups.get(ledger)
    if (group === undefined) {
      group = new GroupCommit((small, signal) => this.#commitGroup(ledger, small, signal))
      this.#groups.set(ledger, group)
    }
    return group
  }

  async #commitGroup(ledger: Ledger, group: readonly SmallTask[], signal: AbortSignal): Promise<void> {
    const [first] = group
    if (first === undefined) return
    const tasks = group.map(({ task }) => task)
    await this.#connection.use(async client => {
      try {
        if (first.target === undefined) await applyEmpty(client, ledger, tasks)
        else await copyTasks(client, ledger, tasks, first.target, messagesOf(group))
      } catch (error) {
        const { task, target, count } = first
        const targets = target === undefined ? [] : [target]
        if (group.length === 1)
          return explainFailure(client, ledger, task, error, targets, () => explainRow(client, task, error, target, count))
        await client.query({ text: 'rollback' })
        throw error
      }
    }, signal)
  }

  async #tableOf(): Promise<Table> {
    this.#table ??= this.#connection.use(client => this.#loadTable(client))
    try {
      return await this.#table
    } catch (error) {
      this.#table = undefined
      throw error
    }
  }

  async #loadTable(client: PostgresClient, isOfDeadLetters = false): Promise<Table> {
    const table = await loadTable(client, parseTableName(this.#mode.table))
    checkTable(table, this.#mode, isOfDeadLetters)
    return table
  }
}

async function* messagesOf(group: readonly SmallTask[]): AsyncGenerator<readonly Buffer[]> {
  for (const { messages } of group) yield messages
}
