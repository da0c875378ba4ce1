import { expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import type { OffsetRange } from '../../src/core/values.ts'
import { asOracle } from '../support/as-oracle.ts'
import { askMetadata } from '../support/cluster/ask-metadata.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { collect } from '../support/collect.ts'
import { createTopic, uniqueName } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { waitUntil } from '../support/services/wait-until.ts'

const RECORDS = 120_000
/** It starts a cluster, has a broker die and return, and Java read twice. */
const TIMEOUT_MS = 240_000

test(
  'a large range that is read while its leader is killed and comes back has exactly the records that Java reads',
  async () => {
    await using kafka = await startKafka({ brokers: 2, own: true })
    // Both partitions are led by the second broker, which is the one that may die.
    const assignment = [
      [2, 1],
      [2, 1],
    ]
    const topic = await createTopic(uniqueName('failover'), { assignment }, kafka)
    await produce(kafka, { topic, count: RECORDS, transactionRecords: 2000, abortEvery: 5, producers: 2, compression: 'lz4' })
    const source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic], fetchMaxBytes: 65_536 })
    try {
      const planned: OffsetRange[] = (await source.latestOffsets()).map(({ offset, ...at }) => ({
        ...at,
        fromOffset: 0,
        untilOffset: offset,
      }))
      const [slow, untouched] = planned
      if (slow === undefined || untouched === undefined) throw new RangeError('The topic has two partitions.')
      const watching = source.awaitRecords?.(planned.map(({ fromOffset: _, untilOffset, ...at }) => ({ ...at, offset: untilOffset })))
      const watched = watching?.catch((error: unknown) => error)

      const read: KafkaRecord[] = []
      let hasDied = false
      for await (const records of source.read(slow)) {
        read.push(...records)
        if (hasDied || read.length < RECORDS / 10) continue
        hasDied = true
        await kafka.killBroker(1)
      }
      expect(hasDied).toBe(true)
      const oracle = readAll(kafka, topic, 'read_committed')

      // The wait ended with the broker, and offsets are asked of whoever leads now.
      expect(await watched).toMatchObject({ code: 'CONNECTION', retryable: true })
      const after = await source.latestOffsets()
      expect(after.map(({ offset }) => offset)).toEqual(planned.map(({ untilOffset }) => untilOffset))
      expect(after[0]?.leaderEpoch).toBeGreaterThan(slow.leaderEpoch ?? 0)

      // Planned under the old epoch and read under the new one: the log was not cut, and the new leader says so.
      const other = await collect(source, untouched)
      await kafka.startBroker(1)
      const [first = ''] = kafka.brokers
      await waitUntil('the broker in sync again', async () => (await askMetadata(first, [topic])).topics.get(topic)?.[0]?.isr.length === 2)
      const again = await collect(source, slow)

      const golden = await oracle
      expect(golden.length).toBeGreaterThan(RECORDS / 2)
      expect(asOracle([...read, ...other])).toEqual(golden)
      expect(asOracle(again)).toEqual(golden.filter(({ partition }) => partition === slow.partition))
    } finally {
      await source.close()
    }
  },
  TIMEOUT_MS,
)
