import { TimeoutError } from '../../src/core/errors.ts'
import { checkFence, type FenceRow, fenceRowOf } from '../../src/core/fence-rules.ts'
import type { FenceMark } from '../../src/core/sink.ts'
import { sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { endOldAttempts } from './attempt-name.ts'
import { runQuery, runScript } from './connection.ts'
import { BEGIN, type Ledger } from './ledger.ts'
import { FORMAT } from './ledger-schema.ts'
import { quoteText } from './names.ts'

/** How long to wait for those who are committing before looking whether one of them was stopped there, ms. */
const LOCK_MS = 500
/** How long the server waits for the next message of a driver in here, ms: one that was stopped holds the fence row, which the next driver and all tasks wait for. */
const IDLE_MS = 3_000
/** How long all of it may take, ms. */
const WITHIN_MS = 60_000

/**
 * Raises the fence of an output to `mark` and trims its ledger. When this resolves, no attempt of an older epoch or of a complete batch can commit any
 * more, and none holds anything another could wait for.
 *
 * The row is locked `for update`, which waits for each attempt that has read it `for share` and is about to commit: it commits before the fence is raised,
 * or finds it raised. One whose server process was stopped just there is terminated, and the lock tried again. A driver that was itself stopped while it
 * held the lock is ended by the server.
 */
export async function raiseFence(client: PostgresClient, ledger: Ledger, mark: FenceMark): Promise<void> {
  const startedAt = performance.now()
  while (!(await tryToRaise(client, ledger, mark))) {
    // Never before the mark was found good: a driver that was replaced would end the attempts of the one that replaced it.
    await check(client, ledger, await ledger.loadFence(client), mark)
    await endOldAttempts(client, ledger.prefix, mark)
    if (performance.now() - startedAt > WITHIN_MS) {
      throw new TimeoutError(
        `The fence of ${ledger.destination} for output ${mark.output} of stream ${mark.stream} is locked by another session. Look for who holds ` +
          `its row of ${ledger.tables.fences} in pg_locks.`,
        { details: { output: mark.output, stream: mark.stream } },
      )
    }
  }
  await endOldAttempts(client, ledger.prefix, mark)
}

/** False where the row was locked for too long, or was made by somebody else meanwhile. */
async function tryToRaise(client: PostgresClient, ledger: Ledger, mark: FenceMark): Promise<boolean> {
  const patience = `set local lock_timeout = ${LOCK_MS}; set local idle_in_transaction_session_timeout = ${IDLE_MS}`
  await runScript(client, `${BEGIN}; ${patience}`, { brief: true })
  try {
    const row = await ledger.loadFence(client, { lock: true })
    await check(client, ledger, row, mark)
    if (!(await writeRow(client, ledger, row, mark))) {
      await runScript(client, 'rollback', { brief: true })
      return false
    }
    await runScript(client, `${trimSql(ledger, row, mark)}; commit`, { brief: true })
    return true
  } catch (error) {
    await runScript(client, 'rollback', { brief: true }).catch(() => {})
    if (sqlState(error) === '55P03') return false
    throw error
  }
}

function check(client: PostgresClient, ledger: Ledger, row: FenceRow | undefined, mark: FenceMark): Promise<void> {
  return checkFence(ledger.destination, row, mark, batchId => ledger.countTasks(client, batchId))
}

async function writeRow(client: PostgresClient, ledger: Ledger, row: FenceRow | undefined, mark: FenceMark): Promise<boolean> {
  const { streamId, epoch, owner, lastBegun, lastComplete } = fenceRowOf(mark)
  const values = [mark.stream, mark.output, streamId, epoch, owner, lastBegun, lastComplete, FORMAT]
  const { fences } = ledger.tables
  const written = await runQuery(
    client,
    row === undefined
      ? `insert into ${fences} (stream, output, stream_id, epoch, owner, last_begun, last_complete, format) values ($1, $2, $3, $4, $5, $6, $7, $8)
        on conflict do nothing returning 1`
      : `update ${fences} set stream_id = $3, epoch = $4, owner = $5, last_begun = $6, last_complete = $7, format = $8
        where stream = $1 and output = $2 returning 1`,
    values,
  )
  return written.length === 1
}

/**
 * A complete batch's tasks are never asked for again. After a person has adopted the store's values, neither are those of batches that the store does
 * not know, whose ids it will give to other ranges; nor any of another stream's.
 */
function trimSql({ tables, stream, output }: Ledger, row: FenceRow | undefined, mark: FenceMark): string {
  const gone =
    mark.adopt !== true
      ? `batch_id <= ${mark.lastComplete}`
      : row !== undefined && row.streamId !== mark.streamId
        ? 'true'
        : `(batch_id <= ${mark.lastComplete} or batch_id > ${mark.lastBegun})`
  return `delete from ${tables.ledger} where stream = ${quoteText(stream)} and output = ${quoteText(output)} and ${gone}`
}
