import { kafkaSource } from '../../../connectors/kafka/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import { measureSecond } from './measure.ts'

const [brokers, topic] = childArguments<[brokers: string[], topic: string]>()

giveResult(
  await measureSecond(async () => {
    await using source = kafkaSource({ kafka: { brokers }, topics: [topic] })
    const from = await source.earliestOffsets()
    const until = new Map((await source.latestOffsets()).map(({ partition, offset }) => [partition, offset]))
    let records = 0
    let bytes = 0
    await Promise.all(
      from.map(async ({ partition, offset }) => {
        const range = { topic, partition, fromOffset: offset, untilOffset: until.get(partition) ?? offset }
        for await (const array of source.read(range)) {
          records += array.length
          for (const record of array) bytes += record.value?.length ?? 0
        }
      }),
    )
    return { records, bytes }
  }),
)
