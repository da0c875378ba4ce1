import { setTimeout as delay } from 'node:timers/promises'
import { TimeoutError } from '../../src/core/errors.ts'
import type { FenceMark } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { runQuery } from './connection.ts'
import { shortHash } from './names.ts'

/** How long a terminated backend may take to go, ms. One that waits for its client goes at once. */
const GONE_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 10

/** What the names of an output's attempts begin with. A name of Postgres holds 63 bytes, and a stream's any number: so a hash stands for it. */
export function attemptPrefix(schema: string, stream: string, output: string): string {
  return `tidemark ${shortHash(schema, stream, output)} `
}

/**
 * The `application_name` under which an attempt writes, set for its transaction only: `tidemark <output> e<epoch> b<batch>`. So it is seen by `fence`
 * whichever connection of whatever pool it has, and it is gone with the transaction.
 */
export function attemptName(prefix: string, { epoch, batchId }: Pick<Task, 'epoch' | 'batchId'>): string {
  return `${prefix}e${epoch} b${batchId}`
}

/**
 * Ends the backends of attempts that can write no more under `mark`, and waits until they are gone.
 *
 * The fence row alone keeps them from committing. But an attempt whose process was stopped holds what it has locked for as long as its connection lives
 * (neither `statement_timeout` nor `idle_in_transaction_session_timeout` ends one inside COPY), and the attempt that takes its place would wait for it.
 */
export async function endOldAttempts(client: PostgresClient, prefix: string, mark: FenceMark): Promise<void> {
  const startedAt = performance.now()
  for (;;) {
    const old = (await listAttempts(client, prefix)).filter(({ epoch, batchId }) => isOld(epoch, batchId, mark))
    if (old.length === 0) return
    // The name is looked at again where it counts: the backend may have gone on to somebody else's transaction.
    await runQuery(
      client,
      `select pg_terminate_backend(pid) from pg_stat_activity join unnest($1::int[], $2::text[]) as old (pid, name) using (pid)
      where application_name = old.name`,
      [old.map(({ pid }) => pid), old.map(({ name }) => name)],
    )
    if (performance.now() - startedAt > GONE_WITHIN_MS) {
      throw new TimeoutError(
        `Old attempts of output ${mark.output} of stream ${mark.stream} do not end, though their backends were terminated: ` +
          `${old.map(({ pid }) => pid).join(', ')}. Look at them in pg_stat_activity.`,
        { details: { output: mark.output, stream: mark.stream, pids: old.map(({ pid }) => pid) } },
      )
    }
    await delay(LOOK_EVERY_MS)
  }
}

function isOld(epoch: number, batchId: number, mark: FenceMark): boolean {
  if (mark.adopt === true && epoch !== mark.epoch) return true
  return epoch < mark.epoch || batchId <= mark.lastComplete
}

type Attempt = { readonly pid: number; readonly name: string; readonly epoch: number; readonly batchId: number }

async function listAttempts(client: PostgresClient, prefix: string): Promise<Attempt[]> {
  const rows = await runQuery<{ pid: number; name: string }>(
    client,
    `select pid, application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and starts_with(application_name, $1)`,
    [prefix],
  )
  return rows.flatMap(({ pid, name }) => {
    const [, epoch, batchId] = /e(\d+) b(\d+)$/.exec(name) ?? []
    return epoch === undefined ? [] : [{ pid, name, epoch: Number(epoch), batchId: Number(batchId) }]
  })
}
