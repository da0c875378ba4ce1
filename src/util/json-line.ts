import { errorMessage, RecordError } from '../core/errors.ts'
import { showRange, type Task } from '../core/values.ts'

/**
 * One row as a line of JSON, with its line end. `place` is the row's place in the task, from 0.
 * Throws `RecordError` for what JSON cannot say (a BigInt, a cycle, undefined, a function): a line left out would be a row lost.
 */
export function toJsonLine(row: unknown, place: number, task: Task): string {
  let text: string | undefined
  try {
    text = JSON.stringify(row)
  } catch (error) {
    throw notJson(errorMessage(error).split('\n', 1)[0] ?? '', place, task, error)
  }
  if (text === undefined) throw notJson(row === undefined ? 'it is undefined' : `it is a ${typeof row}`, place, task)
  return `${text}\n`
}

function notJson(reason: string, place: number, task: Task, cause?: unknown): RecordError {
  const { stream, batchId, output, range } = task
  const { topic, partition, fromOffset, untilOffset } = range
  return new RecordError(
    `Row ${place + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) cannot be written as JSON: ${reason}. ` +
      'Turn it into plain values in a map() before this output, or leave it out with a filter().',
    { details: { stream, batchId, output, topic, partition, fromOffset, untilOffset, row: place + 1 }, cause },
  )
}
