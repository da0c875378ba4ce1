import { Kafka, logLevel } from 'kafkajs'
import '../../support/kafkajs-codecs.ts'
import { childArguments, giveResult } from '../run-child.ts'
import { measureSecond } from './measure.ts'

const [brokers, topic, count] = childArguments<[brokers: string[], topic: string, count: number]>()
const kafka = new Kafka({ brokers, logLevel: logLevel.NOTHING })

let run = 0

giveResult(
  await measureSecond(async () => {
    const consumer = kafka.consumer({
      groupId: `${topic}-kafkajs-${process.pid}-${run++}`,
      maxBytesPerPartition: 8 << 20,
      maxBytes: 64 << 20,
    })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    let records = 0
    let bytes = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: 4,
      eachBatch: async ({ batch }) => {
        records += batch.messages.length
        for (const message of batch.messages) bytes += message.value?.length ?? 0
        if (records >= count) resolve()
      },
    })
    await promise
    await consumer.disconnect()
    return { records, bytes }
  }),
)
