import { ConfigError } from '../core/errors.ts'
import type { PartitionOffset } from '../core/values.ts'
import { lacksZone } from './parse-time.ts'

/** An entry of a list: what stands before the last two numbers is the topic, for one read under an alias has a colon (`eu:orders`). */
const ENTRY = /([^,].*?):(\d+):(\d+)(?:,|$)/y

/** The form of a list, for messages. */
export const POSITION_FORMS = 'a list of topic:partition:offset such as orders:0:1200,orders:1:900'

/** Reads a list of positions. Undefined where the text is none; throws `ConfigError` where it names a partition twice, `option` being what it was given for. */
export function parsePositions(text: string, option: string): PartitionOffset[] | undefined {
  // It would pass for a topic `2026-11-20T12`.
  if (lacksZone(text)) return undefined
  const offsets: PartitionOffset[] = []
  const seen = new Set<string>()
  const entry = new RegExp(ENTRY)
  while (entry.lastIndex < text.length) {
    const [, topic = '', partition = '', offset = ''] = entry.exec(text) ?? []
    if (topic === '' || !Number.isSafeInteger(Number(offset))) return undefined
    const key = `${topic}:${Number(partition)}`
    if (seen.has(key)) throw new ConfigError(`${option} names partition ${key} twice.`)
    seen.add(key)
    offsets.push({ topic, partition: Number(partition), offset: Number(offset) })
  }
  return offsets.length === 0 || text.endsWith(',') ? undefined : offsets
}
