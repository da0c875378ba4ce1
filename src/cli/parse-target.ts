import { ConfigError } from '../core/errors.ts'
import type { ResetTarget } from '../driver/surgery-target.ts'
import { POSITION_FORMS, parsePositions } from '../util/parse-positions.ts'
import { explainSeconds, parseTime, TIME_FORMS } from '../util/parse-time.ts'

/** Reads `--to`. Throws `ConfigError` with the accepted forms. */
export function parseTarget(text: string): ResetTarget {
  if (text === 'earliest' || text === 'latest') return { at: text }
  const timestamp = parseTime(text)
  if (timestamp !== undefined) return { at: 'timestamp', timestamp }
  const offsets = parsePositions(text, '--to')
  if (offsets !== undefined) return { at: 'exact', offsets }
  const seconds = explainSeconds(text)
  if (seconds !== undefined) throw new ConfigError(`--to ${text} ${seconds}`)
  throw new ConfigError(`--to ${text} is not understood. It is 'earliest', 'latest', ${TIME_FORMS}, or ${POSITION_FORMS}.`)
}
