import { ConfigError, ConnectionError, UnsupportedError } from '../../src/core/errors.ts'
import { checkApplied } from '../../src/core/fence-rules.ts'
import type { FenceMark, SinkContext } from '../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../src/core/values.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { type Connection, isAway, runQuery } from './connection.ts'
import { Ledger } from './ledger.ts'
import { makeLedger } from './ledger-schema.ts'
import { raiseFence } from './raise-fence.ts'

/** Postgres 12, for the catalogue's knowledge of partitions and generated columns. */
const OLDEST_SERVER = 120_000

/** Where an output keeps its ledger, and what it points at altogether. */
export type LedgerPlace = { readonly schema: string; readonly target: string | undefined }

type Known = { readonly batch: string; readonly ranges: Promise<ReadonlyMap<number, OffsetRange>>; readonly asked: Set<number> }

/** The fences and ledgers of all outputs that one sink is: what is alike for tables and for SQL of the job's own. */
export class OutputLedgers {
  readonly #connection: Connection
  readonly #schema: string
  readonly #destination: string
  readonly #ledgers = new Map<string, Ledger>()
  readonly #known = new Map<Ledger, Known>()

  constructor(connection: Connection, schema: string, destination: string) {
    this.#connection = connection
    this.#schema = schema
    this.#destination = destination
  }

  of({ stream, output }: Pick<Task, 'stream' | 'output'>): Ledger {
    const key = JSON.stringify([stream, output])
    let ledger = this.#ledgers.get(key)
    if (ledger === undefined) {
      ledger = new Ledger(this.#schema, stream, output, this.#destination)
      this.#ledgers.set(key, ledger)
    }
    return ledger
  }

  /** Checks the server, makes the tables, and remembers the stream's id. */
  async prepare(client: PostgresClient, context: SinkContext): Promise<void> {
    if (`${context.stream}${context.output}`.includes('\0')) {
      throw new ConfigError(
        'postgresSink: the names of stream and output go into the ledger, and Postgres keeps no NUL character. Rename them.',
      )
    }
    const [server] = await runQuery<{ version: number; standby: boolean; fsync: string }>(
      client,
      `select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby, current_setting('fsync') as fsync`,
    )
    if (server !== undefined && server.version < OLDEST_SERVER) {
      throw new UnsupportedError(`postgresSink needs Postgres 12 or newer; this server is ${Math.floor(server.version / 10_000)}.`)
    }
    if (server?.standby === true)
      throw new ConnectionError('postgresSink: this server is a standby, which takes no writes. Connect to the primary.')
    if (server?.fsync === 'off') {
      context.log.warn({ output: context.output }, 'fsync is off on this Postgres: a crash of its machine may lose what it has committed')
    }
    await makeLedger(client, this.#schema)
    this.remember(context)
  }

  remember(context: SinkContext): void {
    this.of(context).streamId = context.streamId
  }

  async fence(mark: FenceMark): Promise<void> {
    const ledger = this.of(mark)
    ledger.streamId = mark.streamId
    // What it said before may be another driver's work by now, or be gone after a person's word.
    this.#known.delete(ledger)
    let isUnderWay = false
    const raise = () =>
      this.#connection.use(client => {
        isUnderWay = true
        return raiseFence(client, ledger, mark)
      })
    try {
      await raise()
    } catch (error) {
      // The server ends a driver that was stopped in the midst. Who has taken over since, it must hear from the fence.
      if (!isUnderWay || !isAway(error)) throw error
      await raise()
    }
  }

  /**
   * One query a batch and epoch: at its first question for a batch the ledger is read whole, which is nearly always empty. That answer serves each task
   * once: who asks again has failed in between, and may have been applied without having heard of it. And it serves one epoch: an executor in a process
   * of its own hears of no fence, and after a person's word a batch's id may stand for other work.
   */
  async applied(task: Task): Promise<boolean> {
    const ledger = this.of(task)
    const known = this.#knownOf(ledger, task)
    const isFirst = !known.asked.has(task.index)
    known.asked.add(task.index)
    const ranges = isFirst ? await known.ranges : await this.#connection.use(client => ledger.loadRanges(client, task.batchId, task.index))
    const range = ranges.get(task.index)
    return range !== undefined && checkApplied(ledger.destination, range, task) === 'applied'
  }

  #knownOf(ledger: Ledger, { batchId, epoch }: Task): Known {
    const known = this.#known.get(ledger)
    const batch = `${epoch}:${batchId}`
    if (known?.batch === batch) return known
    const ranges = this.#connection.use(client => ledger.loadRanges(client, batchId))
    const fresh: Known = { batch, ranges, asked: new Set() }
    this.#known.set(ledger, fresh)
    // The next attempt asks anew.
    ranges.catch(() => this.#known.get(ledger) === fresh && this.#known.delete(ledger))
    return fresh
  }
}
