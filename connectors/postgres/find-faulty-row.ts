import { sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { runScript } from './connection.ts'
import { isTextColumn, mergeRowsSql, mergeSql, type Places, readColumnSql, SAVEPOINT } from './merge-sql.ts'
import { blamedColumn, isAboutRows } from './row-error.ts'
import type { Target } from './target.ts'

const NO_TRANSACTION = new Set(['25P01', '3B001'])

export type FaultyRow = { readonly error: unknown; readonly row: number; readonly column: string | undefined }

/**
 * Finds the row that a merge failed on, inside the failed transaction, which is rolled back afterwards. The server names no row of an `insert … select`,
 * so the staging table is merged half by half: what goes well stays, what fails is halved. Twice the work of the merge, once, for a task that fails.
 * Undefined where the fault does not show again.
 */
export async function findFaultyRow(client: PostgresClient, target: Target, count: number): Promise<FaultyRow | undefined> {
  if (!(await returnToStaging(client))) return undefined
  return searchRows(client, target, count, places => tryMerge(client, target, places))
}

/**
 * The same where a task's rows went to several tables, merged in this order. Those before the one at fault stay merged: its rows may refer to them.
 * Undefined also where a constraint is at fault that is deferred to the end of all of them.
 */
export async function findFaultyRowAmong(
  client: PostgresClient,
  targets: readonly Target[],
  count: number,
): Promise<(FaultyRow & { readonly target: Target }) | undefined> {
  if (!(await returnToStaging(client))) return undefined
  for (const target of targets) {
    const tryRows = (places?: Places) => attempt(client, mergeRowsSql(target, places))
    if ((await tryRows()) === undefined) continue
    const found = await searchRows(client, target, count, tryRows)
    return found && { ...found, target }
  }
  return undefined
}

/** False where the commit itself has failed, and with it the transaction has ended. */
async function returnToStaging(client: PostgresClient): Promise<boolean> {
  try {
    await runScript(client, `rollback to savepoint ${SAVEPOINT}`)
    return true
  } catch (error) {
    if (NO_TRANSACTION.has(sqlState(error) ?? '')) return false
    throw error
  }
}

async function searchRows(
  client: PostgresClient,
  target: Target,
  count: number,
  tryRows: (places: Places) => Promise<unknown>,
): Promise<FaultyRow | undefined> {
  let from = 0
  let until = count
  for (;;) {
    const middle = until - from > 1 ? from + Math.floor((until - from) / 2) : until
    const error = await tryRows({ from, until: middle })
    if (error === undefined) {
      if (middle === until) return undefined
      from = middle
    } else if (!isAboutRows(error)) {
      return undefined
    } else if (middle - from === 1) {
      return { error, row: from, column: blamedColumn(error) ?? (await findColumn(client, target, from, error)) }
    } else {
      until = middle
    }
  }
}

async function tryMerge(client: PostgresClient, target: Target, places: Places): Promise<unknown> {
  return attempt(client, `${mergeSql(target, places)};\nset constraints all deferred`)
}

/** The column whose text the server cannot read as the column's type: it says what is wrong with the text, not where it stands. */
async function findColumn(client: PostgresClient, target: Target, row: number, error: unknown): Promise<string | undefined> {
  for (const [at, { name }] of target.columns.entries()) {
    if (!isTextColumn(target, at)) continue
    const failure = await attempt(client, readColumnSql(target, at, row))
    if (failure !== undefined && sqlState(failure) === sqlState(error)) return name
  }
  return undefined
}

async function attempt(client: PostgresClient, script: string): Promise<unknown> {
  try {
    await runScript(client, `savepoint tidemark_try; ${script}; release savepoint tidemark_try`)
    return undefined
  } catch (error) {
    await runScript(client, 'rollback to savepoint tidemark_try')
    return error
  }
}
