import { Consumer, MessagesStreamModes } from '@platformatic/kafka'
import { childArguments, giveResult } from '../run-child.ts'
import { measureSecond } from './measure.ts'

const [brokers, topic, count] = childArguments<[brokers: string[], topic: string, count: number]>()

let run = 0

giveResult(
  await measureSecond(async () => {
    const consumer = new Consumer({
      clientId: 'bench',
      groupId: `${topic}-platformatic-${process.pid}-${run++}`,
      bootstrapBrokers: brokers,
    })
    const stream = await consumer.consume({
      topics: [topic],
      mode: MessagesStreamModes.EARLIEST,
      autocommit: false,
      maxBytes: 64 << 20,
      maxBytesPerPartition: 8 << 20,
      highWaterMark: 4096,
    })
    let records = 0
    let bytes = 0
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    stream.on('error', reject)
    stream.on('data', message => {
      bytes += message.value?.length ?? 0
      if (++records >= count) resolve()
    })
    await promise
    await stream.close()
    await consumer.close(true)
    return { records, bytes }
  }),
)
