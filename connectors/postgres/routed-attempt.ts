import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { checkTypesSql } from './column-types.ts'
import { runScript } from './connection.ts'
import { CopyStatement } from './copy/copy-statement.ts'
import { explainFailure } from './copy-attempt.ts'
import { findFaultyRowAmong } from './find-faulty-row.ts'
import type { Ledger } from './ledger.ts'
import { CHECK_CONSTRAINTS, columnOfStaging, copyIntoStaging, copyIntoTable, mergeRowsSql, SAVEPOINT } from './merge-sql.ts'
import type { RoutedPart, RoutedRows } from './routed-rows.ts'
import { placeInCopy, refusedByServer } from './row-error.ts'
import type { Target } from './target.ts'

/**
 * Writes a task whose rows go to several tables, in one transaction. Resolves when its rows are in, by this attempt or another.
 *
 * One COPY after another, as buffers fill, and between them the server waits for this client. That is harmless: each goes straight into a table in which
 * nobody can run into its rows, or into a temporary table. All that another attempt could wait for, which is the merges, the ledger row under the fence
 * and the commit, is the one last message. Were a table merged as soon as its rows are there: a client is stopped inside the next COPY with keys of the
 * first table written, and its twin waits for them.
 */
export async function writeRouted(client: PostgresClient, ledger: Ledger, rows: RoutedRows): Promise<void> {
  const { task } = rows
  let begin = `${ledger.beginSql(task)};\n`
  let sending: RoutedPart | undefined
  try {
    for (let isAll = false; !isAll; ) {
      isAll = await rows.draw(work => work(client))
      for (const part of rows.take()) {
        sending = part
        const into = part.target.isStaged ? copyIntoStaging(part.target, 'drop') : copyIntoTable(part.target)
        await new CopyStatement(`${begin}${into}`).run(client, [part.messages])
        sending = undefined
        begin = ''
      }
    }
    const { targets } = rows
    const check = targets.length === 0 ? '' : `${checkTypesSql(targets)};\n`
    await runScript(client, `${begin}${mergesSql(targets)}${check}${ledger.commitSql([task])}`)
  } catch (error) {
    const failed = sending
    await explainFailure(client, ledger, task, error, rows.targets, () =>
      failed === undefined ? explainMerge(client, rows, error) : Promise.resolve(explainCopy(rows, failed, error)),
    )
  }
}

/** Deferred constraints come last: a row of one table may refer to one of another. */
function mergesSql(targets: readonly Target[]): string {
  const staged = targets.filter(({ isStaged }) => isStaged)
  if (staged.length === 0) return ''
  return `savepoint ${SAVEPOINT};\n${[...staged.map(target => mergeRowsSql(target)), CHECK_CONSTRAINTS].join(';\n')};\n`
}

function explainCopy({ task }: RoutedRows, { target, places }: RoutedPart, error: unknown): unknown {
  const { row, column } = placeInCopy(error) ?? { row: undefined, column: undefined }
  const name = column === undefined || !target.isStaged ? column : columnOfStaging(target, column)
  return refusedByServer(error, task, row === undefined ? undefined : places[row], name, target.mode.table)
}

async function explainMerge(client: PostgresClient, { task, targets, count }: RoutedRows, error: unknown): Promise<unknown> {
  const staged = targets.filter(({ isStaged }) => isStaged)
  const found = await findFaultyRowAmong(client, staged, count)
  return found === undefined
    ? refusedByServer(error, task, undefined, undefined)
    : refusedByServer(found.error, task, found.row, found.column, found.target.mode.table)
}
