import { AuthError, UnsupportedError } from '../../src/core/errors.ts'
import { sqlState } from '../../src/util/postgres-error.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { runQuery, runScript } from './connection.ts'
import { quoteName } from './names.ts'

/** Where fence and ledger are, where the options do not say. */
export const DEFAULT_SCHEMA = 'tidemark'
/** The format of the tables, in every fence row. */
export const FORMAT = 1

/** The two tables, quoted. */
export type LedgerTables = { readonly fences: string; readonly ledger: string }

export function ledgerTables(schema: string): LedgerTables {
  return { fences: `${quoteName(schema)}.sink_fences`, ledger: `${quoteName(schema)}.sink_ledger` }
}

/**
 * The statements that make the fence and the ledger of `postgresSink`, for a user who may not create tables to be given by one who may. They can be
 * run any number of times. That user then needs `usage` on the schema and `select, insert, update, delete` on both tables.
 */
export function postgresSinkMigration({ schema = DEFAULT_SCHEMA }: { readonly schema?: string } = {}): string {
  const { fences, ledger } = ledgerTables(schema)
  return `create schema if not exists ${quoteName(schema)};
create table if not exists ${fences} (
  stream text not null,
  output text not null,
  stream_id text not null,
  epoch bigint not null,
  owner text not null,
  last_begun bigint not null,
  last_complete bigint not null,
  format smallint not null default ${FORMAT},
  primary key (stream, output)
);
create table if not exists ${ledger} (
  stream text not null,
  output text not null,
  batch_id bigint not null,
  task_index integer not null,
  topic text not null,
  partition integer not null,
  from_offset bigint not null,
  until_offset bigint not null,
  primary key (stream, output, batch_id, task_index)
);
`
}

const RIGHTS = ['SELECT', 'INSERT', 'UPDATE', 'DELETE']

/**
 * Makes the tables where they are not there. Any number of drivers may do so at once: `if not exists` alone fails when two make the same name side by
 * side, so they take turns. Throws `AuthError` with the way out where the right is missing.
 */
export async function makeLedger(client: PostgresClient, schema: string): Promise<void> {
  const tables = ledgerTables(schema)
  if (!(await isThere(client, tables))) {
    try {
      await runScript(
        client,
        `begin isolation level read committed read write; select pg_advisory_xact_lock(hashtext('tidemark.schema'));
        ${postgresSinkMigration({ schema })} commit`,
      )
    } catch (cause) {
      await runScript(client, 'rollback')
      // Somebody without our lock was making the schema at the same time.
      const isTaken = ['42P06', '42P07', '23505'].includes(sqlState(cause) ?? '')
      if (isTaken) return makeLedger(client, schema)
      if (sqlState(cause) !== '42501') throw cause
      throw new AuthError(
        `This user of Postgres may not create the tables of fence and ledger in schema ${schema}. Let someone who may run what ` +
          `postgresSinkMigration({ schema: '${schema}' }) of 'tidemark/postgres' prints, and grant ${RIGHTS.join(', ')} on both tables.`,
        { cause, details: { schema } },
      )
    }
  }
  await checkLedger(client, schema)
}

async function isThere(client: PostgresClient, { fences, ledger }: LedgerTables): Promise<boolean> {
  const [row] = await runQuery<{ there: boolean }>(client, 'select to_regclass($1) is not null and to_regclass($2) is not null as there', [
    fences,
    ledger,
  ])
  return row?.there === true
}

async function checkLedger(client: PostgresClient, schema: string): Promise<void> {
  const { fences, ledger } = ledgerTables(schema)
  const lacking = await runQuery<{ name: string; right: string }>(
    client,
    'select t.name, r.right from unnest($1::text[]) t (name), unnest($2::text[]) r ("right") where not has_table_privilege(t.name, r.right)',
    [[fences, ledger], RIGHTS],
  )
  const [first] = lacking
  if (first !== undefined) {
    throw new AuthError(
      `This user of Postgres lacks ${[...new Set(lacking.map(({ right }) => right))].join(', ')} on ${first.name}, where the output keeps its ` +
        `fence and ledger. Grant ${RIGHTS.join(', ')} on ${fences} and ${ledger}.`,
      { details: { schema } },
    )
  }
  const [newest] = await runQuery<{ format: number | null }>(client, `select max(format)::int as format from ${fences}`)
  if ((newest?.format ?? FORMAT) > FORMAT) {
    throw new UnsupportedError(
      `${fences} has rows of format ${newest?.format}, and this Tidemark knows ${FORMAT}. Use the version that wrote them, or a newer one.`,
      { details: { schema, format: newest?.format } },
    )
  }
}
