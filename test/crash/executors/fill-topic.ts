import { createTopic, kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { produce } from '../../support/produce.ts'
import { placesByJava } from './make-fleet.ts'

/** A topic, and every record of it as the Java client reads it under read_committed, as sorted `partition:offset`. */
export type FilledTopic = { readonly topic: string; readonly byJava: readonly string[] }

/** A topic of committed and aborted transactions of several producers, interleaved. */
export async function fillTopic(
  about: string,
  count: number,
  { partitions = 2, transactionRecords = 25 }: { readonly partitions?: number; readonly transactionRecords?: number } = {},
): Promise<FilledTopic> {
  const topic = await createTopic(uniqueName(about), { partitions })
  await produce(kafkaCluster(), { topic, count, keys: true, transactionRecords, abortEvery: 6, producers: 3 })
  return { topic, byJava: await placesByJava(kafkaCluster(), topic) }
}
