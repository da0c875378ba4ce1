import type { PoolClient } from 'pg'
import { z } from 'zod'
import type { Task } from '../../src/core/values.ts'
import { type PostgresConnectionOptions, withPostgresConnection } from '../../src/util/postgres-connection-options.ts'
import { DEFAULT_SCHEMA } from './ledger-schema.ts'

type ColumnOf<Row> = keyof Row & string

type LedgerOptions = {
  /** The schema of the tables that keep fence and ledger. @default 'tidemark' */
  readonly schema?: string
}

/** Rows into a table, or each into the table that a function of it names. */
export type PostgresTableOptions<Row> = PostgresConnectionOptions &
  LedgerOptions & {
    /** An existing table: `orders`, `sales.orders`, or `"odd.name"`; or a function that names one a row. Deterministic, as everything that a replay runs again. */
    readonly table: string | ((row: Row) => string)
    /** Where `table` is a function: the most tables that the rows of one task go to. @default 100 */
    readonly maxTables?: number
    /** What is written; a row without one of them gives NULL. @default the columns of the table that rows have, of those with a default only what a task's first row has */
    readonly columns?: readonly ColumnOf<Row>[]
    /** What tells rows apart: a row replaces the one with the same values here. The table needs a unique index on just these. @default rows are appended */
    readonly key?: ColumnOf<Row> | readonly ColumnOf<Row>[]
    /** With `key`: a column that only grows; a row replaces one whose version is equal or lower. */
    readonly version?: ColumnOf<Row>
    /** With `key`: a row for which this gives something true deletes the one with its key. Deterministic, as everything that a replay runs again. */
    readonly deleteWhen?: (row: Row) => unknown
    readonly write?: undefined
    readonly name?: undefined
  }

/** SQL of the job's own. */
export type PostgresWriteOptions<Row> = PostgresConnectionOptions &
  LedgerOptions & {
    /**
     * Writes a task's rows inside the transaction that the ledger commits; it must not end that transaction. Run again where a task is tried again, and
     * its effects outside of Postgres are then there twice.
     */
    readonly write: (client: PoolClient, rows: AsyncIterable<readonly Row[]>, task: Task) => Promise<unknown>
    /** What messages and the ledger call the output, behind `postgres:`. @default the name of the function `write` */
    readonly name?: string
    readonly table?: undefined
    readonly maxTables?: undefined
    readonly columns?: undefined
    readonly key?: undefined
    readonly version?: undefined
    readonly deleteWhen?: undefined
  }

/** What `postgresSink` takes. */
export type PostgresSinkOptions<Row> = PostgresTableOptions<Row> | PostgresWriteOptions<Row>

const name = z.string().min(1)
const columnList = z
  .array(name)
  .min(1)
  .refine(names => new Set(names).size === names.length, { error: 'a column is named twice' })
const schema = name.max(63).default(DEFAULT_SCHEMA).describe(`the name of a schema; the default is '${DEFAULT_SCHEMA}'`)
const func = <Function>(form: string) => z.custom<Function>(value => typeof value === 'function', { error: `expected a function ${form}` })
const onlyWithTable = (option: string) =>
  z.undefined({ error: `expected none, since write is given: ${option} goes with table` }).optional()

/** The options of a table. */
export const tableOptions = withPostgresConnection({
  table: z
    .union([z.string().min(1), func<(row: never) => unknown>('of a row')], {
      error: "the name of a table, such as 'orders' or 'sales.orders', or a function of the row that gives one",
    })
    .describe("the name of a table, such as 'orders' or 'sales.orders', or a function of the row that gives one"),
  maxTables: z.int().min(1).max(10_000).optional().describe('how many tables a task may write to, from 1 to 10000'),
  columns: columnList.optional().describe("the names of columns, such as ['id', 'total']"),
  key: z
    .union([name.transform(one => [one]), columnList])
    .optional()
    .describe("the name of a column or a list of them, such as 'id'"),
  version: name.optional().describe("the name of a column, such as 'updated_at'"),
  deleteWhen: func<(row: never) => unknown>('of a row, such as row => row.deleted').optional(),
  schema,
  write: z.undefined({ error: 'expected either table or write, not both' }).optional(),
  name: z
    .undefined({ error: 'expected none: an output to a table has the name of the table. Another is given by to(sink, { name })' })
    .optional(),
})

/** The options of SQL of the job's own. */
export const writeOptions = withPostgresConnection({
  write: func<(client: PoolClient, rows: AsyncIterable<readonly unknown[]>, task: Task) => unknown>('of (client, rows, task)'),
  name: name.optional(),
  schema,
  table: z.undefined({ error: 'expected either table or write, not both' }).optional(),
  maxTables: onlyWithTable('maxTables'),
  columns: onlyWithTable('columns'),
  key: onlyWithTable('key'),
  version: onlyWithTable('version'),
  deleteWhen: onlyWithTable('deleteWhen'),
})
