import { ConfigError } from '../errors.ts'
import type { ReadBackQuery, Sink } from '../sink.ts'
import { type DeadLetter, LETTER_FIELDS } from './dead-letter.ts'
import { isLetterOf } from './letter-filter.ts'

/** Reads letters back from where an output put them, in no order. @throws ConfigError where the output cannot, or its rows are no letters */
export async function* readLetters(sink: Sink<never>, query: ReadBackQuery): AsyncGenerator<readonly DeadLetter[]> {
  if (sink.readBack === undefined) {
    throw new ConfigError(
      `Dead letters that went to ${sink.name} cannot be read back: that output does not know how. postgresSink, kafkaSink and jsonlSink do.`,
    )
  }
  // An output may give more than it was asked for.
  for await (const rows of sink.readBack(query)) {
    const letters = rows.map(row => letterOfRow(row, sink.name)).filter(letter => isLetterOf(letter, query.where ?? {}))
    if (letters.length > 0) yield letters
  }
}

/** Databases give large numbers as text, and JSON as objects. */
function letterOfRow(row: unknown, from: string): DeadLetter {
  const fields = Object.entries(LETTER_FIELDS).map(([name, kind]) => {
    const value = (row as Readonly<Record<string, unknown>> | null)?.[name]
    if (value === undefined || (value === null && kind !== 'text or null')) {
      throw new ConfigError(
        `A row of ${from} is no dead letter: it has no ${name}. Letters can be read back where all their fields were written: ${Object.keys(LETTER_FIELDS).join(', ')}.`,
      )
    }
    if (kind === 'integer') return [name, Number(value)]
    return [name, value === null || typeof value === 'string' ? value : JSON.stringify(value)]
  })
  return Object.fromEntries(fields)
}
