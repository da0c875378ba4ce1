import type { KafkaRecord } from '../../connectors/kafka/index.ts'
import type { ReadOptions, Source } from '../../src/core/source.ts'
import type { OffsetRange } from '../../src/core/values.ts'

/** Reads a range to its end, with arrays put together. */
export async function collect(source: Source<KafkaRecord>, range: OffsetRange, options?: ReadOptions): Promise<KafkaRecord[]> {
  const all: KafkaRecord[] = []
  for await (const records of source.read(range, options)) all.push(...records)
  return all
}
