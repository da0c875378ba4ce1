import { ConfigError } from '../../src/core/errors.ts'

/** A piece of SQL, as opposed to a text that stands for itself: only {@link sql} and {@link quoteName} make one. */
export class Sql {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * SQL with its values written into it as literals. Several statements can then go to the server in one message, which they cannot with parameters: a
 * `begin`, a lock and a look are one round trip. Texts are quoted, whatever is in them; numbers are whole; pieces of SQL stay what they are.
 *
 * @throws ConfigError for a text with U+0000, which would end the message in its midst, and for a number that is not whole
 */
export function sql(parts: TemplateStringsArray, ...values: readonly (string | number | null | undefined | Sql)[]): Sql {
  return new Sql(parts.reduce((text, part, index) => text + write(values[index - 1]) + part))
}

/** Pieces of SQL one after another, with commas between. */
export function list(pieces: readonly Sql[]): Sql {
  return new Sql(pieces.map(({ text }) => text).join(', '))
}

/** A name of a schema, table or column, exactly as it is. */
export function quoteName(name: string): Sql {
  return new Sql(`"${name.replaceAll('"', '""')}"`)
}

function write(value: string | number | null | undefined | Sql): string {
  if (value instanceof Sql) return value.text
  if (typeof value === 'string') return quoteText(value)
  if (typeof value !== 'number') return 'null'
  if (!Number.isSafeInteger(value)) throw new ConfigError(`The offset store keeps whole numbers up to 2^53 - 1, not ${value}.`)
  // A bare minus behind another would begin a comment.
  return value < 0 ? `(${value})` : String(value)
}

function quoteText(text: string): string {
  if (text.includes('\0')) throw new ConfigError('A text with U+0000 cannot be sent to Postgres.')
  const quoted = text.replaceAll("'", "''")
  // The E form means the same whatever `standard_conforming_strings` says; the blank keeps the E from joining a word before it.
  return text.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`
}
