import { checkTask, type FenceRow, taskFenced } from '../../src/core/fence-rules.ts'
import type { OffsetRange, Task } from '../../src/core/values.ts'
import { sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { attemptName, attemptPrefix } from './attempt-name.ts'
import { runQuery } from './connection.ts'
import { type LedgerTables, ledgerTables } from './ledger-schema.ts'
import { quoteText } from './names.ts'

type FenceColumns = { stream_id: string; epoch: string; owner: string; last_begun: string; last_complete: string }
type RangeColumns = { topic: string; partition: number; from_offset: string; until_offset: string }

/**
 * Begins a transaction. What is said here does not hang on what the server, the user or the pool has set. An acknowledged commit must outlive a crash of the
 * server, or the store would have committed offsets of rows that are nowhere; a stronger setting than `on` stays.
 */
export const BEGIN =
  "begin isolation level read committed read write; select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"

/** Not a setting of anybody's: to read it is the one error of its kind. */
const REFUSED = 'tidemark.refused'

/** Fence and ledger of one output of one stream. */
export class Ledger {
  readonly stream: string
  readonly output: string
  readonly tables: LedgerTables
  /** What the names of its attempts begin with. */
  readonly prefix: string
  /** The table or whatever else it stands for, as messages begin with it. */
  readonly destination: string
  /** The stream's id by the store; undefined before the sink is prepared or opened. */
  streamId: string | undefined

  constructor(schema: string, stream: string, output: string, destination: string) {
    this.stream = stream
    this.output = output
    this.tables = ledgerTables(schema)
    this.prefix = attemptPrefix(schema, stream, output)
    this.destination = destination
  }

  /** Begins an attempt's transaction. */
  beginSql(task: Task): string {
    return `${BEGIN}; set local application_name = ${quoteText(attemptName(this.prefix, task))}`
  }

  /**
   * The last statements of an attempt: a ledger row a task, then the commit, or an error that {@link isRefusal} knows.
   *
   * They are one message. Sent one by one, a process that is stopped between the two would hold its ledger row uncommitted, and its twin, which adds
   * the same row, would wait for it until the task's deadline.
   *
   * The fence row is read `for share`, the lock that `fence` waits for. With a plain read: a straggler reads the fence; its twin finishes, the batch is
   * committed, the next `fence` raises the row and removes the twin's ledger row; the straggler adds its own, finds no conflict, and commits its rows a
   * second time. At `read committed` the straggler that waited for the lock sees the raised row, and adds nothing. (Isolation is said in `begin`: at
   * `repeatable read`, which may be the user's default, it would fail to serialize instead.)
   *
   * The name of the attempt is set for its transaction only: where it is not there any more, the job's own SQL has committed halfway.
   */
  commitSql(tasks: readonly Task[]): string {
    const [first] = tasks
    if (first === undefined) return 'commit'
    const { fences, ledger } = this.tables
    const values = tasks.map(({ index, range }) => {
      const { topic, partition, fromOffset, untilOffset } = range
      return `(${index}, ${quoteText(topic)}, ${partition}, ${fromOffset}, ${untilOffset})`
    })
    const isOurs = this.streamId === undefined ? '' : ` and f.stream_id = ${quoteText(this.streamId)}`
    return `with written as (
  insert into ${ledger} (stream, output, batch_id, task_index, topic, partition, from_offset, until_offset)
  select f.stream, f.output, ${first.batchId}, t.task_index, t.topic, t.partition, t.from_offset, t.until_offset
  from ${fences} f cross join (values ${values.join(', ')}) as t (task_index, topic, partition, from_offset, until_offset)
  where f.stream = ${quoteText(this.stream)} and f.output = ${quoteText(this.output)}${isOurs} and f.epoch = ${first.epoch}
    and f.last_complete < ${first.batchId} and f.last_begun >= ${first.batchId}
    and current_setting('application_name') = ${quoteText(attemptName(this.prefix, first))}
  for share of f
  on conflict do nothing
  returning 1
)
select case when count(*) = ${tasks.length} then 0 else current_setting('${REFUSED}')::int end from written;
commit`
  }

  /** Why a task's ledger row was not taken: another attempt has it (`applied`), or it may not (throws). `write` where nothing speaks against it. */
  async judge(client: PostgresClient, task: Task): Promise<'applied' | 'write'> {
    const row = await this.loadFence(client)
    const range = (await this.loadRanges(client, task.batchId, task.index)).get(task.index)
    const verdict = checkTask(this.destination, row, range, task)
    if (verdict === 'write' && this.streamId !== undefined && row?.streamId !== this.streamId) throw taskFenced(this.destination, row, task)
    return verdict
  }

  async loadFence(client: PostgresClient, { lock = false } = {}): Promise<FenceRow | undefined> {
    const [row] = await runQuery<FenceColumns>(
      client,
      `select stream_id, epoch::text, owner, last_begun::text, last_complete::text from ${this.tables.fences} where stream = $1 and output = $2` +
        (lock ? ' for update' : ''),
      [this.stream, this.output],
    )
    if (row === undefined) return undefined
    return {
      streamId: row.stream_id,
      epoch: Number(row.epoch),
      owner: row.owner,
      lastBegun: Number(row.last_begun),
      lastComplete: Number(row.last_complete),
    }
  }

  /** The applied tasks of a batch, or the one of them, by index. */
  async loadRanges(client: PostgresClient, batchId: number, index?: number): Promise<Map<number, OffsetRange>> {
    const rows = await runQuery<RangeColumns & { task_index: number }>(
      client,
      `select task_index, topic, partition, from_offset::text, until_offset::text from ${this.tables.ledger}
      where stream = $1 and output = $2 and batch_id = $3${index === undefined ? '' : ' and task_index = $4'}`,
      [this.stream, this.output, batchId, ...(index === undefined ? [] : [index])],
    )
    return new Map(
      rows.map(({ task_index, topic, partition, from_offset, until_offset }) => [
        task_index,
        { topic, partition, fromOffset: Number(from_offset), untilOffset: Number(until_offset) },
      ]),
    )
  }

  async countTasks(client: PostgresClient, batchId: number): Promise<number> {
    const [row] = await runQuery<{ count: string }>(
      client,
      `select count(*)::text from ${this.tables.ledger} where stream = $1 and output = $2 and batch_id = $3`,
      [this.stream, this.output, batchId],
    )
    return Number(row?.count ?? 0)
  }
}

/** Whether the server's error is that of {@link Ledger.commitSql}: the fence or the ledger did not take a task. */
export function isRefusal(error: unknown): boolean {
  return sqlState(error) === '42704' && error instanceof Error && error.message.includes(REFUSED)
}
