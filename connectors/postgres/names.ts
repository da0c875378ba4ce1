import { createHash } from 'node:crypto'
import { ConfigError } from '../../src/core/errors.ts'

/** A table as the option names it. */
export type TableName = { readonly schema: string | undefined; readonly table: string }

const PART = /^(?:"((?:[^"]|"")+)"|([^".]+))$/

/** Reads `orders`, `sales.orders` or `"odd.name"`. Names are taken as they are, without folding to lower case. */
export function parseTableName(text: string): TableName {
  const parts = text.match(/(?:"(?:[^"]|"")*"|[^".])+/g) ?? []
  const names = parts.map(part => {
    const [, quoted, plain] = PART.exec(part) ?? []
    return quoted?.replaceAll('""', '"') ?? plain ?? ''
  })
  const [first = '', second] = names
  if (names.length > 2 || names.includes('') || text.startsWith('.') || text.endsWith('.') || text.includes('\0')) {
    throw new ConfigError(
      `postgresSink: table is ${JSON.stringify(text)}: expected the name of a table, such as 'orders' or 'sales.orders'`,
    )
  }
  return second === undefined ? { schema: undefined, table: first } : { schema: first, table: second }
}

/** An SQL identifier. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** An SQL identifier with its schema, where it has one. */
export function quoteTable({ schema, table }: TableName): string {
  return schema === undefined ? quoteName(table) : `${quoteName(schema)}.${quoteName(table)}`
}

/** An SQL text literal, whatever `standard_conforming_strings` is. */
export function quoteText(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`
  return quoted.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted
}

/** A short name for texts that are too long or too odd for a name of Postgres: 16 hexadecimal digits. */
export function shortHash(...texts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(texts)).digest('hex').slice(0, 16)
}
