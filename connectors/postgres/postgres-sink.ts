import { ConfigError } from '../../src/core/errors.ts'
import type { Sink } from '../../src/core/sink.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { Connection } from './connection.ts'
import { describeTarget } from './describe-target.ts'
import { parseTableName } from './names.ts'
import { type PostgresSinkOptions, type PostgresTableOptions, tableOptions, writeOptions } from './options.ts'
import { OwnSqlSink, type WriteFunction } from './own-sql-sink.ts'
import { ROUTED_NAME, RoutedSink } from './routed-sink.ts'
import { TableSink } from './table-sink.ts'

const MAX_TABLES = 100

type Columns<Column extends string> = { readonly [Name in Column]: unknown }

/**
 * Rows into a table of Postgres, exactly-once: a task's rows and its row in the range ledger are one transaction. With `key` a row replaces the one of its
 * key, with `deleteWhen` it may delete it, and with `write` the job's own SQL runs in that transaction.
 *
 * A `table` that is a function sends each row to the table it names, those of a task in one transaction. Tables are there already; the ledger's tables are made at the first start, or by {@link postgresSinkMigration}. All executors connect as the same
 * role, since only so may the driver end the attempts that were fenced. Throws `ConfigError` for wrong options; connects only once the stream starts.
 */
export function postgresSink<Row>(options: PostgresSinkOptions<Row>): Sink<Row>
/** The same where nothing says what the rows are: they have the columns. */
export function postgresSink<const Column extends string>(
  options: PostgresTableOptions<Columns<Column>> & { readonly columns: readonly Column[] },
): Sink<Columns<Column>>
export function postgresSink<Row>(options: PostgresSinkOptions<Row>): Sink<Row> {
  if (typeof options?.write === 'function') {
    const { write, name, schema, ...at } = parseOptions(writeOptions, options, 'postgresSink')
    const label = `postgres:${name ?? (write.name === 'write' || write.name === '' ? 'sql' : write.name)}`
    const target = describeTarget(at, `ledger in ${schema}`)
    return new OwnSqlSink(label, write as WriteFunction, new Connection(at, `output ${label}`), { schema, target })
  }
  const { table, maxTables, columns, key, version, deleteWhen, schema, ...at } = parseOptions(tableOptions, options, 'postgresSink')
  if (typeof table === 'function') {
    const target = describeTarget(at, `tables by row, ledger in ${schema}`)
    const mode = { route: table, maxTables: maxTables ?? MAX_TABLES, columns, key, version, deleteWhen }
    return new RoutedSink(mode, new Connection(at, `output ${ROUTED_NAME}`), { schema, target })
  }
  if (maxTables !== undefined) {
    throw new ConfigError(
      'postgresSink: maxTables goes with a table that is a function of the row; this output has one table. Take it out.',
    )
  }
  parseTableName(table)
  const target = describeTarget(at, `table ${table}, ledger in ${schema}`)
  return new TableSink({ table, columns, key, version, deleteWhen }, new Connection(at, `output postgres:${table}`), { schema, target })
}
