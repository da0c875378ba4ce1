import { ConfigError } from '../../src/core/errors.ts'
import type { Rewritten } from '../../src/core/sink.ts'
import { closestName } from '../../src/util/closest-name.ts'
import { encodeLiteral } from './copy/encode-text.ts'
import { encoderOf } from './copy/encoders.ts'
import type { EncodedColumn } from './copy/row-encoder.ts'
import { shortHash } from './names.ts'
import type { Column, Table } from './table.ts'

/** What of the options says how rows become rows of the table. */
export type TableMode = {
  readonly table: string
  readonly columns: readonly string[] | undefined
  readonly key: readonly string[] | undefined
  readonly version: string | undefined
  readonly deleteWhen: ((row: never) => unknown) | undefined
}

/** What becomes of rows that come a second time, behind the ledger's back. */
export function rewrittenBy({ key, version }: Pick<TableMode, 'key' | 'version'>): Rewritten {
  if (key === undefined) return { addsRows: true, sentence: 'appended a second time' }
  const newer = version === undefined ? ', also over newer ones' : ''
  return { addsRows: false, sentence: `written over the rows of the same ${key.join(', ')}${newer}` }
}

/** The columns of a table as one task writes them, and how. */
export type Target = {
  readonly table: Table
  readonly columns: readonly Column[]
  readonly mode: TableMode
  readonly encoded: readonly EncodedColumn[]
  /** Columns that a row of this task must not have a value for. */
  readonly absent: readonly string[]
  /** By column: whether its values go as text, for the server to read. */
  readonly isText: readonly boolean[]
  /** Whether rows first go to a temporary table, to be merged when all are there. */
  readonly isStaged: boolean
  /** The same for targets whose rows can go in one COPY. */
  readonly id: string
}

/** Plans the columns for a task that begins with the row `first`. Throws `ConfigError` where it has none of the table's. */
export function planTarget(table: Table, mode: TableMode, first: Readonly<Record<string, unknown>> | undefined): Target {
  const columns = mode.columns === undefined ? columnsOf(table, mode, first ?? {}) : mode.columns.map(name => findColumn(table, mode, name))
  const absent = mode.columns === undefined ? table.columns.filter(column => !columns.includes(column)).map(({ name }) => name) : []
  const encoders = columns.map(({ type }) => encoderOf(type))
  const isText = encoders.map(encode => encode === undefined)
  const written = new Set(columns.map(({ name }) => name))
  const isOfDeleted = (name: string) => mode.key?.includes(name) === true || name === mode.version
  return {
    table,
    columns,
    mode,
    encoded: columns.map((column, at) => ({
      name: column.name,
      encode: encoders[at] ?? encodeLiteral,
      isNullable: column.isNullable && mode.key?.includes(column.name) !== true,
      isOfDeleted: isOfDeleted(column.name),
    })),
    absent,
    isText,
    isStaged:
      mode.key !== undefined ||
      isText.includes(true) ||
      table.hasSideEffects ||
      hasContention(table, written) ||
      !'rp'.includes(table.kind),
    id: shortHash(table.quoted, ...columns.map(({ name, typeName }) => `${name} ${typeName}`)),
  }
}

/**
 * Whether two attempts could meet in a unique index, so that one would wait for the other until it ends. An index over a column that gets a value of its
 * own in each row is none such: `id bigint generated always as identity primary key`.
 */
function hasContention(table: Table, written: ReadonlySet<string>): boolean {
  const serial = new Set(table.columns.filter(({ name, isSerial }) => isSerial && !written.has(name)).map(({ name }) => name))
  return table.uniqueIndexes.some(({ columns, isPlain }) => !(isPlain && columns.some(name => serial.has(name))))
}

export function findColumn(table: Table, { table: name }: TableMode, column: string): Column {
  const found = table.columns.find(candidate => candidate.name === column)
  if (found !== undefined) return found
  const names = table.columns.map(candidate => candidate.name)
  const near = closestName(column, names)
  throw new ConfigError(
    `postgresSink: table ${name} has no column ${column}. ${near === undefined ? `It has ${names.join(', ')}.` : `Did you mean ${near}?`}`,
    { details: { table: name, column } },
  )
}

/** Where the options name no columns: those that rows can have. A column with a default gets it, unless the task's first row says otherwise. */
function columnsOf(table: Table, { table: name, key, version }: TableMode, first: Readonly<Record<string, unknown>>): Column[] {
  const keys = Object.keys(first)
  const generated = table.columns.find(column => column.isAlwaysGenerated && first[column.name] !== undefined)
  if (generated !== undefined) {
    throw new ConfigError(
      `postgresSink: rows have a value for ${generated.name}, which table ${name} always generates. Name the columns to write in the option columns.`,
      { details: { table: name, column: generated.name } },
    )
  }
  if (!table.columns.some(column => keys.includes(column.name))) {
    throw new ConfigError(
      `postgresSink: rows have nothing that is a column of table ${name}: they have ${keys.slice(0, 20).join(', ') || 'no names'}, and the table has ` +
        `${table.columns.map(column => column.name).join(', ')}. Shape them in a map() before this output.`,
      { details: { table: name } },
    )
  }
  return table.columns.filter(
    column =>
      !column.isAlwaysGenerated &&
      (!column.hasDefault || first[column.name] !== undefined || key?.includes(column.name) === true || column.name === version),
  )
}
