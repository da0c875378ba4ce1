import { kafkaSource } from '../../connectors/kafka/index.ts'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { type Bench, type BenchRow, median } from './report.ts'
import { runChild } from './run-child.ts'
import type { Payment } from './to-kafka/order.ts'
import type { ToKafkaArguments, ToKafkaResult } from './to-kafka/tidemark.ts'
import { makeTopic, PARTITIONS } from './topics.ts'

const FROM = 'bench-orders-in'
const RECORDS = 1_000_000
const RECORDS_PER_TRANSACTION = 12_500
const CONTESTANTS = ['tidemark', 'kafkajs-loop'] as const

/** Kafka → Kafka exactly-once against kafkajs' consume-transform-produce with the offsets in its transactions, of the same size. */
export async function benchToKafka(kafka: KafkaAddress, { rounds, say, recorded }: Bench): Promise<BenchRow[]> {
  await makeTopic(kafka, FROM)
  await produce(kafka, { topic: FROM, count: RECORDS, bytes: 73 })
  const results: Record<(typeof CONTESTANTS)[number], ToKafkaResult[]> = { tidemark: [], 'kafkajs-loop': [] }
  for (let round = 0; round < rounds; round++) {
    for (const contestant of CONTESTANTS) results[contestant].push(await move(kafka, contestant, `bench-to-${contestant}-${round}`))
  }
  recorded.toKafka = results
  const [own, peer] = CONTESTANTS.map(contestant => results[contestant]) as [ToKafkaResult[], ToKafkaResult[]]
  const rate = (all: readonly ToKafkaResult[]) => RECORDS / median(all.map(({ ms }) => ms)) / 1000
  for (const contestant of CONTESTANTS) {
    const all = results[contestant]
    const size = RECORDS / median(all.map(({ transactions }) => transactions))
    const cpu = median(all.map(({ cpuMs }) => cpuMs)) / 1000
    say(
      `Kafka → Kafka, ${contestant}: ${rate(all).toFixed(2)} M records/s, ${size.toFixed(0)} a transaction, ${cpu.toFixed(1)} s of processor time`,
    )
  }
  const ratio = median(own.map(({ ms }, round) => (peer[round]?.ms ?? Number.NaN) / ms))
  return [
    {
      figure: `Kafka → Kafka exactly-once, 1 M records (${rate(own).toFixed(2)} M records/s), against kafkajs with transactions (${rate(peer).toFixed(2)})`,
      ...{ value: `${ratio.toFixed(1)} ×`, bar: '2 ×', met: ratio >= 2 },
    },
  ]
}

/** Moves all records into a topic that is empty, and sees that each is there once. */
async function move(kafka: KafkaAddress, contestant: (typeof CONTESTANTS)[number], name: string): Promise<ToKafkaResult> {
  await makeTopic(kafka, name)
  const job: ToKafkaArguments = {
    ...{ brokers: kafka.brokers, from: FROM, to: name, name },
    ...{ count: RECORDS, recordsPerTransaction: RECORDS_PER_TRANSACTION, partitions: PARTITIONS },
  }
  const result = await runChild<ToKafkaResult>(`to-kafka/${contestant}.ts`, [job])
  const seen = await countIds(kafka, name)
  const wrong = seen.findIndex(times => times !== 1)
  if (wrong >= 0) throw new Error(`${contestant} has record ${wrong} ${seen[wrong]} times in ${name}.`)
  return result
}

/** How often each id is in a topic, for readers under read_committed. */
async function countIds({ brokers }: KafkaAddress, topic: string): Promise<Uint8Array> {
  const kafka = { brokers: [...brokers] }
  await using committed = kafkaSource({ kafka, topics: [topic] })
  await using all = kafkaSource({ kafka, topics: [topic], isolation: 'read_uncommitted' })
  // A commit is answered before its marker is in the log.
  await waitUntil(
    'the end of all transactions',
    async () => JSON.stringify(await committed.latestOffsets()) === JSON.stringify(await all.latestOffsets()),
  )
  const times = new Uint8Array(RECORDS)
  for (const { partition, offset } of await committed.latestOffsets()) {
    for await (const records of committed.read({ topic, partition, fromOffset: 0, untilOffset: offset })) {
      for (const { value } of records) {
        const { id } = JSON.parse(String(value)) as Payment
        if (!(id < RECORDS)) throw new Error(`${topic} has a record ${id} that nobody wrote.`)
        times[id] = (times[id] ?? 0) + 1
      }
    }
  }
  return times
}
