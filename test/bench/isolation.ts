/** Reads a topic of transactions, committed ones only and all, in turn: what leaving aborted records out costs. */
import { kafkaSource } from '../../connectors/kafka/index.ts'
import type { Isolation } from '../../src/core/source.ts'
import { childArguments, giveResult } from './run-child.ts'

/** Offsets a second, for both the same offsets: records and markers, aborted ones too. */
export type IsolationResult = { readonly isolation: Isolation; readonly records: number; readonly offsetsPerSecond: number }

const [brokers, topic, rounds] = childArguments<[brokers: string[], topic: string, rounds: number]>()

async function read(isolation: Isolation): Promise<IsolationResult> {
  await using source = kafkaSource({ kafka: { brokers }, topics: [topic], isolation })
  const from = await source.earliestOffsets()
  const until = new Map((await source.latestOffsets()).map(({ partition, offset }) => [partition, offset]))
  let records = 0
  let offsets = 0
  let bytes = 0
  const start = performance.now()
  await Promise.all(
    from.map(async ({ partition, offset }) => {
      const range = { topic, partition, fromOffset: offset, untilOffset: until.get(partition) ?? offset }
      offsets += range.untilOffset - range.fromOffset
      for await (const array of source.read(range)) {
        records += array.length
        for (const record of array) bytes += record.value?.length ?? 0
      }
    }),
  )
  if (bytes === 0) throw new Error(`${topic} is empty`)
  return { isolation, records, offsetsPerSecond: (offsets / (performance.now() - start)) * 1_000 }
}

await read('read_committed')
await read('read_uncommitted')
const results: IsolationResult[] = []
for (let round = 0; round < rounds; round++) results.push(await read('read_committed'), await read('read_uncommitted'))
giveResult(results)
