import { LETTER_FIELDS } from '../../src/core/dead-letters/dead-letter.ts'
import { AuthError, ConfigError, UnsupportedError } from '../../src/core/errors.ts'
import { parseTableName, quoteName, quoteTable } from './names.ts'
import type { Table } from './table.ts'
import { findColumn, type TableMode } from './target.ts'

/**
 * Checks at the start all that a row would fail on later. Throws `ConfigError` or `AuthError` with the first thing that is wrong and its way out.
 */
export function checkTable(table: Table | undefined, mode: TableMode, isOfDeadLetters = false): asserts table is Table {
  const { table: name } = mode
  const details = { table: name }
  if (table === undefined) {
    throw new ConfigError(
      `postgresSink: there is no table ${name}. It is made by hand, for example (mind the types):\n${isOfDeadLetters && mode.columns === undefined ? suggestLetterTable(mode) : suggestTable(mode)}`,
      { details },
    )
  }
  if (!'rpv'.includes(table.kind)) {
    throw new UnsupportedError(
      table.kind === 'f'
        ? `postgresSink: ${name} is a foreign table: its server does not commit together with the ledger, so nothing written to it is exactly-once.`
        : `postgresSink: ${name} is neither a table nor a view.`,
      { details },
    )
  }
  if (table.isUnlogged) {
    throw new UnsupportedError(
      `postgresSink: table ${name} is unlogged: a crash of the server empties it, and the ledger would still say that its rows are in. Run alter table ` +
        `${table.quoted} set logged.`,
      { details },
    )
  }
  checkColumns(table, mode)
  checkKey(table, mode)
  checkRights(table, mode)
}

/** Checks what of the options goes only with `key`. */
export function checkNeedsKey(
  { key, version, deleteWhen }: Omit<TableMode, 'table'>,
  details: Readonly<Record<string, unknown>> = {},
): void {
  const option = version !== undefined ? 'version' : deleteWhen !== undefined ? 'deleteWhen' : undefined
  if (key !== undefined || option === undefined) return
  throw new ConfigError(`postgresSink: ${option} needs key, which says which row it is about.`, { details })
}

function checkColumns(table: Table, mode: TableMode): void {
  const details = { table: mode.table }
  for (const name of mode.columns ?? []) {
    if (!findColumn(table, mode, name).isAlwaysGenerated) continue
    throw new ConfigError(
      `postgresSink: column ${name} of table ${mode.table} is generated, so nobody may write to it. Take it out of columns.`,
      { details },
    )
  }
  for (const name of [...(mode.key ?? []), ...(mode.version === undefined ? [] : [mode.version])]) {
    findColumn(table, mode, name)
    if (mode.columns !== undefined && !mode.columns.includes(name)) {
      throw new ConfigError(`postgresSink: ${name} is in key or version and not in columns. Add it to columns.`, { details })
    }
  }
  if (mode.columns === undefined) return
  const missing = table.columns.find(
    column => !column.isNullable && !column.hasDefault && !column.isAlwaysGenerated && !mode.columns?.includes(column.name),
  )
  if (missing !== undefined) {
    throw new ConfigError(
      `postgresSink: column ${missing.name} of table ${mode.table} takes no NULL, has no default, and is not in columns. Add it, or give it a default.`,
      { details },
    )
  }
}

function checkKey(table: Table, mode: TableMode): void {
  const { table: name, key } = mode
  checkNeedsKey(mode, { table: name })
  if (key === undefined) return
  // A view passes the conflict on to its table, whose indexes are not its own; the server checks at the first merge.
  if (table.kind === 'v') return
  const wanted = [...key].sort().join()
  if (table.uniqueIndexes.some(({ columns, isPlain }) => isPlain && [...columns].sort().join() === wanted)) return
  throw new ConfigError(
    `postgresSink: table ${name} has no unique index on just ${key.join(', ')}, by which rows of a key replace each other. Add one: ` +
      `alter table ${table.quoted} add primary key (${key.map(quoteName).join(', ')}), or create unique index on ${table.quoted} ` +
      `(${key.map(quoteName).join(', ')}).`,
    { details: { table: name, key } },
  )
}

function checkRights(table: Table, mode: TableMode): void {
  const written = table.columns.filter(column =>
    mode.columns === undefined ? !column.isAlwaysGenerated : mode.columns.includes(column.name),
  )
  const key = mode.key ?? []
  const rights = [
    written.every(column => column.mayInsert) ? undefined : 'INSERT',
    mode.key === undefined || written.every(column => key.includes(column.name) || column.mayUpdate) ? undefined : 'UPDATE',
    mode.key === undefined || written.every(column => column.maySelect) ? undefined : 'SELECT',
    mode.deleteWhen === undefined || table.mayDelete ? undefined : 'DELETE',
  ].filter(right => right !== undefined)
  if (rights.length > 0) {
    throw new AuthError(
      `postgresSink: this user of Postgres lacks ${rights.join(', ')} on table ${mode.table}. Run grant ${rights.join(', ')} on ${table.quoted} to it.`,
      {
        details: { table: mode.table, rights },
      },
    )
  }
  if (table.mayMakeTemporary) return
  throw new AuthError(
    `postgresSink: this user of Postgres may not make temporary tables, by which rows are merged into table ${mode.table}. Run grant temporary on database … to it.`,
    { details: { table: mode.table } },
  )
}

/** A table that fits the options, with types guessed from names. */
function suggestTable({ table, columns, key = [], version }: TableMode): string {
  const names = [...new Set([...key, ...(columns ?? []), ...(version === undefined ? [] : [version])])]
  const lines =
    names.length === 0
      ? ['id text not null', 'value jsonb'].map(line => `  ${line}`)
      : names.map(name => `  ${quoteName(name)} ${guessType(name, name === version)}${key.includes(name) ? ' not null' : ''}`)
  if (key.length > 0) lines.push(`  primary key (${key.map(quoteName).join(', ')})`)
  return `create table ${quoteTable(parseTableName(table))} (\n${lines.join(',\n')}\n)`
}

/** A table that takes dead letters whole. */
function suggestLetterTable({ table }: TableMode): string {
  const typeOf = { text: 'text not null', integer: 'bigint not null', 'text or null': 'text' }
  const lines = Object.entries(LETTER_FIELDS).map(([name, kind]) => `  ${name} ${typeOf[kind]}`)
  return `create table ${quoteTable(parseTableName(table))} (\n${lines.join(',\n')}\n)`
}

function guessType(name: string, isVersion: boolean): string {
  if (/(_at|At|time|Time|_on)$/.test(name)) return 'timestamptz'
  if (isVersion || /^(count|offset|version|seq|quantity)$|(_count|Count|_offset)$/.test(name)) return 'bigint'
  if (/^(total|price|amount|sum)$|(Total|_total|Price|_price|Amount|_amount)$/.test(name)) return 'numeric'
  if (/^(is|has)[_A-Z]/.test(name)) return 'boolean'
  return 'text'
}
