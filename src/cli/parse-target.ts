import { ConfigError } from '../core/errors.ts'
import type { PartitionOffset } from '../core/values.ts'
import type { ResetTarget } from '../driver/surgery-target.ts'
import { parseTime, TIME_FORMS } from './parse-time.ts'

/** An entry of a list: what stands before the last two numbers is the topic, for one read under an alias has a colon (`eu:orders`). */
const ENTRY = /([^,].*?):(\d+):(\d+)(?:,|$)/y
/** A time without a zone, which would pass for a topic `2026-11-20T12`. */
const TIME_WITHOUT_ZONE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/

/** Reads `--to`. Throws `ConfigError` with the accepted forms. */
export function parseTarget(text: string): ResetTarget {
  if (text === 'earliest' || text === 'latest') return { at: text }
  const timestamp = parseTime(text)
  if (timestamp !== undefined) return { at: 'timestamp', timestamp }
  const offsets = parsePositions(text)
  if (offsets !== undefined) return { at: 'exact', offsets }
  throw new ConfigError(
    `--to ${text} is not understood. It is 'earliest', 'latest', ${TIME_FORMS}, or a list of topic:partition:offset such as orders:0:1200,orders:1:900.`,
  )
}

function parsePositions(text: string): PartitionOffset[] | undefined {
  if (TIME_WITHOUT_ZONE.test(text)) return undefined
  const offsets: PartitionOffset[] = []
  const seen = new Set<string>()
  const entry = new RegExp(ENTRY)
  while (entry.lastIndex < text.length) {
    const [, topic = '', partition = '', offset = ''] = entry.exec(text) ?? []
    if (topic === '' || !Number.isSafeInteger(Number(offset))) return undefined
    const key = `${topic}:${Number(partition)}`
    if (seen.has(key)) throw new ConfigError(`--to names partition ${key} twice.`)
    seen.add(key)
    offsets.push({ topic, partition: Number(partition), offset: Number(offset) })
  }
  return offsets.length === 0 || text.endsWith(',') ? undefined : offsets
}
