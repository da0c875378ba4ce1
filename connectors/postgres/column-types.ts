import { ConnectionError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { runQuery } from './connection.ts'
import { quoteText } from './names.ts'
import type { Target } from './target.ts'

/** Not a setting of anybody's: to read it is the one error of its kind. */
const ALTERED = 'tidemark.altered'

/**
 * A statement behind the rows of an attempt, before its ledger row: an error that {@link isAltered} knows where a column that they went into is not of the
 * type that they were encoded for.
 *
 * The server reads what a binary COPY brings as whatever type the column has. So: a table is looked at; somebody runs `alter column total type float8`, it
 * was `int8`; 8 bytes come for 8 bytes, and 42 becomes 2.1e-322 without a word. Looked at before the rows, the same could happen in between. Behind them it
 * cannot: COPY and merge hold their lock on the table up to the end of the transaction, and who alters a type waits for it.
 */
export function checkTypesSql(targets: readonly Target[]): string {
  const columns = columnsOf(targets).map(
    ({ table, name, oid }) => `(${quoteText(table)}::pg_catalog.regclass, ${quoteText(name)}, ${oid}::pg_catalog.oid)`,
  )
  return `select case when count(*) = ${columns.length} then 0 else current_setting('${ALTERED}')::int end
from (values ${columns.join(', ')}) as t (relation, name, type)
join pg_catalog.pg_attribute a on a.attrelid = t.relation and a.attname = t.name and a.atttypid = t.type and not a.attisdropped`
}

/** Whether the server's error is that of {@link checkTypesSql}. */
export function isAltered(error: unknown): boolean {
  return sqlState(error) === '42704' && error instanceof Error && error.message.includes(ALTERED)
}

/** The columns that are of another type by now than what rows of these targets are encoded for, as `total of public.orders (bigint, now double precision)`. */
export async function findAltered(client: PostgresClient, targets: readonly Target[]): Promise<readonly string[]> {
  const columns = columnsOf(targets)
  const rows = await runQuery<{ place: string; now: string }>(
    client,
    `select t.place::text, format_type(a.atttypid, a.atttypmod) as now
from unnest($1::text[], $2::text[], $3::oid[]) with ordinality as t (relation, name, type, place)
join pg_catalog.pg_attribute a on a.attrelid = to_regclass(t.relation) and a.attname = t.name and a.atttypid <> t.type and not a.attisdropped
order by t.place`,
    [columns.map(({ table }) => table), columns.map(({ name }) => name), columns.map(({ oid }) => oid)],
  )
  return rows.map(({ place, now }) => {
    const { table, name, typeName } = columns[Number(place) - 1] as (typeof columns)[number]
    return `${name} of ${table} (${typeName}, now ${now})`
  })
}

/** That a table was altered under an attempt: what comes next looks at it anew, and encodes for what it has then. */
export function alteredUnder(task: Task, altered: readonly string[], cause: unknown): ConnectionError {
  const { stream, batchId, output, index, range } = task
  const which = altered.length === 0 ? 'A column' : `Column ${altered.join(', ')}`
  return new ConnectionError(
    `${which} was altered to another type while rows of ${showRange(range)} (batch ${batchId}, output ${output}) were on their way. Nothing of them was ` +
      'written; the next attempt looks at the table anew.',
    { cause, details: { stream, output, batchId, index, altered } },
  )
}

function columnsOf(targets: readonly Target[]) {
  return targets.flatMap(({ table, columns }) =>
    columns.map(({ name, type, typeName }) => ({ table: table.quoted, name, oid: type.oid, typeName })),
  )
}
