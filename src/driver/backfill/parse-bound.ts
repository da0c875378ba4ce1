import { ConfigError } from '../../core/errors.ts'
import { POSITION_FORMS, parsePositions } from '../../util/parse-positions.ts'
import { explainSeconds, lacksZone, parseTime, TIME_FORMS } from '../../util/parse-time.ts'
import type { BackfillFrom, BackfillTo } from './asked.ts'

const FORMS = `${TIME_FORMS}, ${POSITION_FORMS}, or batch:17, a batch of the live stream`

/** Reads where a backfill begins, as text; `option` is what it was given for. Throws `ConfigError` with the accepted forms. */
export function parseFrom(text: string, option = 'from'): BackfillFrom {
  if (text === 'earliest') return { at: text }
  return parsePlace(text, option, `'earliest', ${FORMS}`)
}

/** Reads where a backfill ends. Throws `ConfigError` with the accepted forms. */
export function parseTo(text: string, option = 'to'): BackfillTo {
  if (text === 'latest' || text === 'live') return { at: text }
  return parsePlace(text, option, `'latest', 'live' (where the live stream began), ${FORMS}`)
}

function parsePlace(text: string, option: string, forms: string): BackfillFrom & BackfillTo {
  const [, batch] = /^batch:([1-9]\d*)$/.exec(text) ?? []
  if (batch !== undefined && Number.isSafeInteger(Number(batch))) return { at: 'batch', batch: Number(batch) }
  const timestamp = parseTime(text)
  if (timestamp !== undefined) return { at: 'timestamp', timestamp }
  if (lacksZone(text)) {
    throw new ConfigError(
      `${option} ${text} has no zone, and would be another time on another machine. Add Z for UTC, as in ${text.replace(' ', 'T')}Z, or an offset such as +01:00.`,
    )
  }
  const seconds = explainSeconds(text)
  if (seconds !== undefined) throw new ConfigError(`${option} ${text} ${seconds}`)
  const offsets = parsePositions(text, option)
  if (offsets !== undefined) return { at: 'exact', offsets }
  throw new ConfigError(`${option} ${text} is not understood. It is ${forms}.`)
}
