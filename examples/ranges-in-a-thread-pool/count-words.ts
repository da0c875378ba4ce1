// What a worker of the pool runs: a range comes in as plain data, counts go out.
import { threadId } from 'node:worker_threads'
import type { Isolation, OffsetRange } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '' } = process.env

/** One a thread, for as long as the thread lives: its connections stay warm. */
const source = kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}lines`] })

let taken = 0

export type Work = { readonly range: OffsetRange; readonly isolation: Isolation; readonly mayFail: boolean }
export type Counted = { readonly thread: number; readonly words: Readonly<Record<string, number>> }

export default async function countWords({ range, isolation, mayFail }: Work): Promise<Counted> {
  taken += 1
  if (mayFail && taken === 3) throw new Error(`thread ${threadId} stumbles`)
  const words: Record<string, number> = {}
  for await (const records of source.read(range, { isolation })) {
    for (const { value } of records) {
      for (const word of String(value).split(' ')) words[word] = (words[word] ?? 0) + 1
    }
  }
  return { thread: threadId, words }
}
