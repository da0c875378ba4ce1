import type { FenceMark, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { checkNeedsKey } from './check-table.ts'
import { type Connection, runScript } from './connection.ts'
import { type LedgerPlace, OutputLedgers } from './output-ledgers.ts'
import { writeRouted } from './routed-attempt.ts'
import { RoutedRows } from './routed-rows.ts'
import { type RoutedMode, RoutedTables } from './routed-tables.ts'
import { rewrittenBy } from './target.ts'

type Context = Parameters<Sink<unknown>['write']>[2]

/** What an output whose tables are named by rows is called. */
export const ROUTED_NAME = 'postgres:by-row'

/** Each row into the table that a function of it names, all rows of a task with its ledger row in one transaction. */
export class RoutedSink implements Sink<unknown> {
  readonly name = ROUTED_NAME
  readonly guarantee = 'exactly-once'
  readonly ordering: 'partition' | 'none'
  /** Of two attempts whose rows are all there the ledger takes one. */
  readonly allowsTwins = true
  readonly target?: string
  readonly rewritten: Rewritten
  readonly #mode: RoutedMode
  readonly #tables: RoutedTables
  readonly #connection: Connection
  readonly #ledgers: OutputLedgers

  constructor(mode: RoutedMode, connection: Connection, { schema, target }: LedgerPlace) {
    checkNeedsKey(mode)
    this.ordering = mode.key === undefined ? 'none' : 'partition'
    this.rewritten = rewrittenBy(mode)
    if (target !== undefined) this.target = target
    this.#mode = mode
    this.#tables = new RoutedTables(mode)
    this.#connection = connection
    this.#ledgers = new OutputLedgers(connection, schema, `Output ${ROUTED_NAME}`)
  }

  async prepare(context: SinkContext): Promise<void> {
    await this.#connection.use(client => this.#ledgers.prepare(client, context), context.signal)
  }

  async open(context: SinkContext): Promise<void> {
    this.#connection.join()
    this.#ledgers.remember(context)
    this.#tables.isOfDeadLetters = context.isOfDeadLetters === true
    await this.#connection.use(client => runScript(client, 'select 1'), context.signal)
  }

  fence(mark: FenceMark): Promise<void> {
    return this.#ledgers.fence(mark)
  }

  applied(task: Task): Promise<boolean> {
    return this.#ledgers.applied(task)
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: Context): Promise<void> {
    const ledger = this.#ledgers.of(task)
    const routed = new RoutedRows(task, rows, this.#mode, this.#tables)
    const attempt = (client: PostgresClient) => writeRouted(client, ledger, routed)
    try {
      // What fits into the buffers is drawn first: nothing of the server is held meanwhile.
      const isAll = await routed.draw(work => this.#connection.use(work, signal))
      signal.throwIfAborted()
      await (isAll ? this.#connection.use(attempt, signal) : this.#connection.useForRows(task, attempt, signal))
    } catch (error) {
      this.#tables.forget(routed.names)
      throw error
    } finally {
      await routed.close()
    }
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }
}
