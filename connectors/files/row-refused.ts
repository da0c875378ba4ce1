import { errorMessage, RecordError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { jsonText } from '../../src/util/json-text.ts'
import { isSecretName, showValue } from '../../src/util/show-value.ts'

/** A value that its column, or a folder's name, cannot take. `expected` goes on after "needs". */
export class WrongValue extends Error {
  readonly expected: string

  constructor(expected: string) {
    super(`expected ${expected}`)
    this.expected = expected
  }
}

/** A row that cannot be written, told with its place in the task (from 0) and with the column and value at fault. */
export function refusedRow(task: Task, place: number, column: string | undefined, value: unknown, error: unknown): unknown {
  if (!(error instanceof WrongValue)) return error
  const { stream, batchId, output, range } = task
  const { topic, partition, fromOffset, untilOffset } = range
  const at = column === undefined ? '' : `, column ${column},`
  return new RecordError(
    `Row ${place + 1} of ${showRange(range)} (batch ${batchId}, output ${output})${at} cannot be written: it is ` +
      `${showValue(value, { secret: isSecretName(column ?? '') })}, and a file needs ${error.expected}. ` +
      'Mend it in a map() before this output, or leave it out with a filter().',
    {
      details: {
        ...{ stream, batchId, output, topic, partition, fromOffset, untilOffset, row: place + 1 },
        ...(column !== undefined && { column }),
      },
      cause: error,
    },
  )
}

/** A row for which a function of `partitionBy` failed: the job's own code, told with the row that it could not take. */
export function unnamedRow(task: Task, place: number, error: unknown): RecordError {
  const { stream, batchId, output, range } = task
  const { topic, partition, fromOffset, untilOffset } = range
  return new RecordError(
    `Row ${place + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) has no folder: partitionBy failed on it: ${errorMessage(error)}. ` +
      'Mend the function, or leave such rows out with a filter() before this output.',
    { details: { stream, batchId, output, topic, partition, fromOffset, untilOffset, row: place + 1 }, cause: error },
  )
}

const notJson = (reason?: string) => new WrongValue(`what JSON can say${reason === undefined ? '' : ` (${reason})`}`)

/** What is no plain value, as JSON. @throws WrongValue */
export function toJson(value: unknown): string {
  return jsonText(value, notJson)
}

/** The row as an object with columns. @throws WrongValue */
export function asObject(row: unknown): Readonly<Record<string, unknown>> {
  if (typeof row !== 'object' || row === null) throw new WrongValue('an object with a value a column')
  return row as Readonly<Record<string, unknown>>
}
