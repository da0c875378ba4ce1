import type { ISocketFactory } from 'kafkajs'
import { beforeAll, describe, expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { RequestCounter } from './counting-socket.ts'

const PARTITIONS = 1_000
const PER_BATCH = 100
const BATCHES = 4
let topic: string

/** What is in the log at a place: 70 bytes. */
const valueAt = (partition: number, offset: number) => `${partition}/${offset}`.padEnd(70)

beforeAll(async () => {
  topic = await createTopic(uniqueName('many'), { partitions: PARTITIONS })
  // Brokers know of a partition before they have made its log, and a producer that waits too long sends again.
  await using source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
  await source.latestOffsets()
  for (let batch = 0; batch < BATCHES; batch++) {
    const messages = Array.from({ length: PARTITIONS * PER_BATCH }, (_, at) => ({
      partition: at % PARTITIONS,
      value: valueAt(at % PARTITIONS, batch * PER_BATCH + Math.floor(at / PARTITIONS)),
    }))
    await sendMessages(topic, messages)
  }
})

describe('a thousand partitions of a hundred records a batch', () => {
  test('come whole and in order by a few fetches, within bounded connections', async () => {
    const next = new Array<number>(PARTITIONS).fill(0)
    const counter = new RequestCounter()
    let connections = 0
    const socketFactory: ISocketFactory = to => {
      connections += 1
      return counter.socketFactory(to)
    }
    const run = await stream({
      name: 'many',
      offsets: sqliteOffsets({ path: `${temporaryFolder()}/offsets.db` }),
      batchIntervalMs: 0,
      limits: { maxRecordsPerBatch: PARTITIONS * PER_BATCH },
      log: silentLog,
    })
      .from(kafkaSource({ kafka: { brokers: kafkaCluster().brokers, socketFactory }, topics: [topic] }))
      .forEachRange(async (rows: AsyncIterable<readonly KafkaRecord[]>, { range }) => {
        for await (const array of rows) {
          for (const { partition, offset, value } of array) {
            const isNext = partition === range.partition && offset === next[partition]
            const isOwn = String(value) === valueAt(partition, offset)
            if (!isNext || !isOwn) throw new RangeError(`${partition}/${offset} came after ${next[partition]}: ${value}`)
            next[partition] = offset + 1
          }
        }
      })
      .start({ until: 'latest' })
    expect(await run.done).toMatchObject({ batches: BATCHES, records: PARTITIONS * PER_BATCH * BATCHES })
    expect(next).toEqual(new Array(PARTITIONS).fill(PER_BATCH * BATCHES))
    // Two brokers with 500 partitions each. These are requests of all kinds.
    expect(counter.most / BATCHES).toBeLessThanOrEqual(20)
    expect(connections).toBeLessThanOrEqual(2 * 8)
  })
})
