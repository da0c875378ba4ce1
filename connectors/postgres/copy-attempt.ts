import { ConnectionError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { isConnectionLost, sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { alteredUnder, checkTypesSql, findAltered, isAltered } from './column-types.ts'
import { runScript } from './connection.ts'
import { CopyStatement } from './copy/copy-statement.ts'
import { findFaultyRow } from './find-faulty-row.ts'
import { isRefusal, type Ledger } from './ledger.ts'
import { columnOfStaging, copyIntoStaging, copyIntoTable, mergeSql, SAVEPOINT } from './merge-sql.ts'
import { isAboutColumns, isAboutRows, placeInCopy, refusedByServer } from './row-error.ts'
import type { Target } from './target.ts'

type Messages = AsyncIterable<readonly Buffer[]>

/**
 * Writes tasks in one transaction: rows, ledger rows, commit. Resolves when they are in. What is sent is one message and the rows; as soon as the
 * server has the last of them it goes through to the commit by itself. Before that, only rows of this attempt are there, in the table where nobody can run
 * into them, or in a temporary table: so an attempt that is stopped anywhere keeps no other waiting.
 *
 * Throws the server's own error with the transaction rolled back; see {@link explainFailure}.
 */
export async function copyTasks(
  client: PostgresClient,
  ledger: Ledger,
  tasks: readonly Task[],
  target: Target,
  messages: Messages,
): Promise<void> {
  const [first] = tasks
  if (first === undefined) return
  const rows = target.isStaged ? `${copyIntoStaging(target)};\nsavepoint ${SAVEPOINT};\n${mergeSql(target)}` : copyIntoTable(target)
  const statement = new CopyStatement(`${ledger.beginSql(first)};\n${rows};\n${checkTypesSql([target])};\n${ledger.commitSql(tasks)}`)
  await statement.run(client, messages)
}

/** The same for a task without rows: its ledger row alone. */
export async function applyEmpty(client: PostgresClient, ledger: Ledger, tasks: readonly Task[]): Promise<void> {
  const [first] = tasks
  if (first !== undefined) await runScript(client, `${ledger.beginSql(first)};\n${ledger.commitSql(tasks)}`)
}

/**
 * What became of a task whose transaction failed: resolves where another attempt has it in, or throws what is to be told. Rolls back.
 * `explain` makes an error about rows into one that names the row, inside the failed transaction. `targets` are what rows were encoded for: where one was
 * altered since, no row is at fault.
 */
export async function explainFailure(
  client: PostgresClient,
  ledger: Ledger,
  task: Task,
  error: unknown,
  targets: readonly Target[],
  explain: () => Promise<unknown>,
): Promise<void> {
  if (sqlState(error) === undefined || isConnectionLost(error)) {
    if (!isConnectionLost(error)) await runScript(client, 'rollback')
    throw error
  }
  if (isRefusal(error)) {
    await runScript(client, 'rollback')
    if ((await ledger.judge(client, task)) === 'applied') return
    // Refused, and a moment later not any more: the fence was raised to this attempt's epoch in between.
    throw new ConnectionError(
      `${ledger.destination} did not take ${showRange(task.range)} of batch ${task.batchId} before its fence was raised; nothing of it was written.`,
      { cause: error, details: { stream: task.stream, output: task.output, batchId: task.batchId, index: task.index } },
    )
  }
  if (!isAboutRows(error) && !isAboutColumns(error)) {
    await runScript(client, 'rollback')
    throw error
  }
  const failure = isAboutRows(error) ? await explain() : error
  await runScript(client, 'rollback')
  // Its twin has committed, and these rows run into the unique keys of the twin's.
  if ((await ledger.judge(client, task)) === 'applied') return
  const altered = await findAltered(client, targets)
  if (isAltered(error) || altered.length > 0) throw alteredUnder(task, altered, error)
  throw failure
}

/** Names the row that the server refused. `count` is how many rows were sent, of this task alone. */
export async function explainRow(
  client: PostgresClient,
  task: Task,
  error: unknown,
  target: Target | undefined,
  count: number,
): Promise<unknown> {
  const copied = placeInCopy(error)
  if (target === undefined) return refusedByServer(error, task, undefined, undefined)
  if (copied !== undefined) {
    const column = copied.column === undefined || !target.isStaged ? copied.column : columnOfStaging(target, copied.column)
    return refusedByServer(error, task, copied.row, column)
  }
  if (!target.isStaged) return refusedByServer(error, task, undefined, undefined)
  const found = await findFaultyRow(client, target, count)
  return found === undefined
    ? refusedByServer(error, task, undefined, undefined)
    : refusedByServer(found.error, task, found.row, found.column)
}
