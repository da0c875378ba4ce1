import type { Task } from '../../../src/core/values.ts'
import { asObject, refusedRow, toJson, WrongValue } from '../row-refused.ts'
import type { TextCompression } from './compress.ts'
import type { Format } from './format.ts'
import { textFormat } from './text-format.ts'

export type CsvOptions = {
  readonly columns: readonly string[]
  readonly header: boolean
  readonly delimiter: string
}

/**
 * Comma-separated values by RFC 4180, with a bare line feed at the line's end. A missing value is an empty field and an empty text is `""`, by
 * which Postgres and Spark tell them apart, and DuckDB with `allow_quoted_nulls = false`.
 */
export function csvFormat({ columns, header, delimiter }: CsvOptions, compression: TextCompression): Format {
  const quoted = new RegExp(`["\\r\\n${delimiter.replace(/[\\\]^-]/g, '\\$&')}]|^\\s|\\s$|^$`)
  // What a number may have beside digits and letters, which no delimiter is: -1.5e+21.
  const splitsNumbers = /[-+.]/.test(delimiter)
  const quote = (text: string) => (quoted.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
  const line = (row: unknown, place: number, task: Task): string => {
    let column: string | undefined
    let value: unknown = row
    try {
      const object = asObject(row)
      let text = ''
      for (let i = 0; i < columns.length; i++) {
        column = columns[i] as string
        value = object[column]
        if (i > 0) text += delimiter
        if (typeof value === 'string') text += quote(value)
        else if (typeof value === 'number' && !splitsNumbers) text += value
        else if (value !== null && value !== undefined) text += quote(toText(value))
      }
      // A line without anything is one that readers skip.
      return text === '' ? '""\n' : `${text}\n`
    } catch (error) {
      throw refusedRow(task, place, column, value, error)
    }
  }
  return textFormat({
    name: 'csv',
    compression,
    signature: JSON.stringify(['csv', columns, header, delimiter]),
    header: header ? `${columns.map(quote).join(delimiter)}\n` : '',
    line,
  })
}

function toText(value: unknown): string {
  switch (typeof value) {
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object': {
      if (value instanceof Date) {
        if (Number.isNaN(value.getTime())) throw new WrongValue('a date that is valid')
        return value.toISOString()
      }
      if (value instanceof Uint8Array) throw new WrongValue('text: bytes have no form in CSV, turn them into hexadecimal or base64')
      return toJson(value)
    }
    default:
      throw new WrongValue('text, a number, a boolean, a Date or what JSON can say')
  }
}
