import type { PoolClient } from 'pg'
import { errorMessage, isTidemarkError, JobError, TaskFailedError } from '../../src/core/errors.ts'
import type { FenceMark, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { isConnectionLost, sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { type Connection, runScript } from './connection.ts'
import { isRefusal, type Ledger } from './ledger.ts'
import { type LedgerPlace, OutputLedgers } from './output-ledgers.ts'

/** SQLSTATE classes of what another attempt mends: a lost connection, resources, a deadlock or another conflict of transactions. */
const MAY_PASS = /^(08|40|53|55|57|58)/

/** The job's function. */
export type WriteFunction = (client: PoolClient, rows: AsyncIterable<readonly unknown[]>, task: Task) => unknown

type Context = Parameters<Sink<unknown>['write']>[2]

/** SQL of the job's own, inside the transaction that its ledger row commits. */
export class OwnSqlSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee = 'exactly-once'
  readonly ordering = 'partition'
  /** Of two attempts the ledger takes one, and the other is rolled back. */
  readonly allowsTwins = true
  readonly target?: string
  readonly rewritten: Rewritten = { addsRows: true, sentence: 'given to the output’s own SQL a second time' }
  readonly #write: WriteFunction
  readonly #connection: Connection
  readonly #ledgers: OutputLedgers

  constructor(name: string, write: WriteFunction, connection: Connection, { schema, target }: LedgerPlace) {
    this.name = name
    if (target !== undefined) this.target = target
    this.#write = write
    this.#connection = connection
    this.#ledgers = new OutputLedgers(connection, schema, `Output ${name}`)
  }

  async prepare(context: SinkContext): Promise<void> {
    await this.#connection.use(client => this.#ledgers.prepare(client, context), context.signal)
  }

  async open(context: SinkContext): Promise<void> {
    this.#connection.join()
    this.#ledgers.remember(context)
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
    await this.#connection.useForRows(task, client => this.#attempt(client, ledger, task, rows), signal)
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }

  async #attempt(client: PostgresClient, ledger: Ledger, task: Task, rows: AsyncIterable<readonly unknown[]>): Promise<void> {
    try {
      await runScript(client, ledger.beginSql(task))
      await this.#write(client as unknown as PoolClient, rows, task)
      await runScript(client, ledger.commitSql([task]))
    } catch (error) {
      if (isConnectionLost(error)) throw error
      await runScript(client, 'rollback')
      // Whatever it failed on, it may be its twin's doing: the twin commits, and this one runs into the keys that it has just written.
      if ((await ledger.judge(client, task)) === 'applied') return
      if (!isRefusal(error)) throw this.#explain(error, task)
      throw new JobError(
        `The function write of output ${task.output} ended its transaction (${showRange(task.range)}, batch ${task.batchId}), so its rows are not in one ` +
          'step with the ledger and would be written again. Leave begin, commit and rollback to the sink; savepoints are fine.',
        { details: { output: task.output, batchId: task.batchId, ...task.range } },
      )
    }
  }

  #explain(error: unknown, task: Task): unknown {
    const state = sqlState(error)
    if (isTidemarkError(error) || state === undefined || MAY_PASS.test(state)) return error
    return new TaskFailedError(
      `The SQL of output ${task.output} failed in ${showRange(task.range)} of batch ${task.batchId}: ${errorMessage(error)} (SQLSTATE ${state})`,
      { details: { output: task.output, batchId: task.batchId, ...task.range, sqlState: state }, cause: error },
    )
  }
}
