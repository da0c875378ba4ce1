import { AuthError, ConfigError, isTidemarkError, JobError, RecordError, type TidemarkError, UnsupportedError } from './errors.ts'
import { showRange, type Task } from './values.ts'

/** A row as a sink knows it: by its place in its task, from 0. */
export type RowPlace = { readonly task: Task; readonly place: number }

/** Errors that a row may bring, and that trying again does not mend. */
const KINDS = [RecordError, ConfigError, JobError, AuthError, UnsupportedError]

/**
 * An error that a row brought, with which row: `is` ends the sentence, as in `the first of its task for table orders_de`. The engine adds
 * the offset of the row's record. Any other error as it is.
 */
export function nameRow(error: unknown, { task, place }: RowPlace, is: string, about: Readonly<Record<string, unknown>> = {}): unknown {
  if (!isTidemarkError(error) || error.retryable) return error
  const { batchId, output, range } = task
  const message = `${error.message}\nRow ${place + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) is ${is}.`
  return retell(error, message, { ...about, ...placeDetails({ task, place }) })
}

/** What the details of an error about a row say of it: its task, and its place there, from 1. */
export function placeDetails({ task, place }: RowPlace): Readonly<Record<string, unknown>> {
  return { ...taskDetails(task), row: place + 1 }
}

/** What the details of an error say of its task: stream, batch, output, and the source's topic, partition and offsets. */
export function taskDetails({ stream, batchId, output, range }: Task): Readonly<Record<string, unknown>> {
  const { topic, partition, fromOffset, untilOffset } = range
  return { stream, batchId, output, topic, partition, fromOffset, untilOffset }
}

/** The same error with more said. One of a kind that no row brings stays as it is. */
export function retell(error: TidemarkError, message: string, details: Readonly<Record<string, unknown>>): TidemarkError {
  const Kind = KINDS.find(({ name }) => name === error.name)
  return Kind === undefined ? error : new Kind(message, { details: { ...error.details, ...details }, cause: error.cause })
}
