import { ConfigError } from '../../../src/core/errors.ts'
import type { ReadBackQuery } from '../../../src/core/sink.ts'
import { partitionKey } from '../../../src/core/values.ts'
import { completeOptions } from '../options.ts'
import { KafkaSource } from '../source/kafka-source.ts'
import { letterOfRecord } from './letter-headers.ts'
import type { CompleteKafkaSinkOptions } from './options.ts'

/** The dead letters of a topic, as far as it reaches now; records that are none are passed over. */
export async function* readTopicLetters(
  { kafka, topic, key, value, headers }: Pick<CompleteKafkaSinkOptions<never>, 'kafka' | 'topic' | 'key' | 'value' | 'headers'>,
  { signal }: ReadBackQuery,
): AsyncGenerator<readonly unknown[]> {
  if (typeof topic !== 'string' || key !== undefined || value !== undefined || headers !== undefined) {
    throw new ConfigError(
      'kafkaSink: letters can be read back from one topic, where key, value and headers are those of their records. This output chooses them by functions.',
    )
  }
  const source = new KafkaSource(completeOptions({ kafka, topics: [topic], isolation: 'read_committed' }))
  try {
    const earliest = new Map((await source.earliestOffsets({ signal })).map(at => [partitionKey(at), at.offset]))
    for (const latest of await source.latestOffsets({ signal })) {
      const { partition, offset: untilOffset } = latest
      const fromOffset = earliest.get(partitionKey(latest)) ?? 0
      if (fromOffset >= untilOffset) continue
      for await (const records of source.read({ topic, partition, fromOffset, untilOffset }, { signal })) {
        const letters = records.map(letterOfRecord).filter(letter => letter !== undefined)
        if (letters.length > 0) yield letters
      }
    }
  } finally {
    await source.close()
  }
}
