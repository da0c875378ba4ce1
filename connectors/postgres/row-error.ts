import { errorMessage, RecordError } from '../../src/core/errors.ts'
import { placeDetails, taskDetails } from '../../src/core/name-row.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { sqlState } from '../../src/util/postgres-error.ts'
import { isSecretName, showValue } from '../../src/util/show-value.ts'
import type { RowRefused } from './copy/row-encoder.ts'

/** SQLSTATE classes about what is in a row: bad data, a violated constraint, a check option, an error that a trigger raised. */
const ABOUT_ROWS = /^(22|23|44|P0)/

/** Whether the server says that a row is at fault, so that trying again would not help. */
export function isAboutRows(error: unknown): boolean {
  return ABOUT_ROWS.test(sqlState(error) ?? '')
}

/** Whether the server says that a statement does not fit the columns, as one may that was made for another type. */
export function isAboutColumns(error: unknown): boolean {
  return (sqlState(error) ?? '').startsWith('42')
}

/** Where the server found a fault in a COPY: the row's place from 0, and the column. */
export function placeInCopy(error: unknown): { readonly row: number; readonly column: string | undefined } | undefined {
  const [, line, column] = /^COPY .*, line (\d+)(?:, column (.+?))?(?::|$)/m.exec(fieldOf(error, 'where') ?? '') ?? []
  return line === undefined ? undefined : { row: Number(line) - 1, column }
}

/** The column that the server blames for a violated constraint: by itself, or the key in `Key (id)=(5) already exists.` */
export function blamedColumn(error: unknown): string | undefined {
  return fieldOf(error, 'column') ?? /^Key \((.+?)\)=/.exec(fieldOf(error, 'detail') ?? '')?.[1]
}

/** A row that cannot be encoded for its column, told with all that is known. */
export function refusedRow({ row, column, value, message }: RowRefused, task: Task, table?: string): RecordError {
  const shown = showValue(value, { secret: isSecretName(column ?? '') })
  return rowError(
    task,
    row,
    column,
    `it is ${shown}, and Postgres needs another: ${message}`.replace('needs another: expected', 'needs'),
    undefined,
    table,
  )
}

/** A row that the server refused. Without `row`, all that is known is its task. `table` is told where an output has several. */
export function refusedByServer(
  error: unknown,
  task: Task,
  row: number | undefined,
  column: string | undefined,
  table?: string,
): RecordError {
  const detail = fieldOf(error, 'detail')
  const reason = `Postgres says: ${errorMessage(error)}${detail === undefined ? '' : `. ${detail}`}`.replace(/\.$/, '')
  return rowError(task, row, column ?? blamedColumn(error), reason, error, table)
}

function rowError(
  task: Task,
  row: number | undefined,
  column: string | undefined,
  reason: string,
  cause: unknown,
  table: string | undefined,
): RecordError {
  const { batchId, output, range } = task
  const which = row === undefined ? 'A row' : `Row ${row + 1}`
  const at = `${table === undefined ? '' : `, table ${table}`}${column === undefined ? '' : `, column ${column}`}`
  return new RecordError(
    `${which} of ${showRange(range)} (batch ${batchId}, output ${output})${at}, cannot be written: ${reason}. ` +
      'Mend it in a map() before this output, or leave it out with a filter().',
    {
      details: {
        ...(row === undefined ? taskDetails(task) : placeDetails({ task, place: row })),
        ...(column !== undefined && { column }),
        ...(table !== undefined && { table }),
      },
      cause,
    },
  )
}

function fieldOf(error: unknown, name: 'where' | 'detail' | 'column'): string | undefined {
  const value: unknown = error instanceof Error ? Reflect.get(error, name) : undefined
  return typeof value === 'string' && value !== '' ? value : undefined
}
