import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'
import type { MaxRateResult } from './max-rate.ts'
import { type Bench, type BenchRow, median } from './report.ts'
import { runChild } from './run-child.ts'
import { makeTopic } from './topics.ts'

const TOPIC = 'bench-rate'
const RECORDS = 2_000_000
const RATE = 200_000
const BAR = 0.05

/** A backfill with `maxRate`, over a topic that it could read many times as fast. */
export async function benchRate(kafka: KafkaAddress, { rounds, say, recorded }: Bench): Promise<BenchRow[]> {
  await makeTopic(kafka, TOPIC)
  await produce(kafka, { topic: TOPIC, count: RECORDS })
  const results: MaxRateResult[] = []
  for (let round = 0; round < rounds; round++) {
    const result = await runChild<MaxRateResult>('max-rate.ts', [kafka.brokers, TOPIC, RATE])
    if (result.records !== RECORDS) throw new Error(`The backfill read ${result.records} of ${RECORDS} records.`)
    results.push(result)
  }
  recorded.maxRate = results
  const off = results.map(({ records, ms }) => records / (ms / 1_000) / RATE - 1)
  const farthest = off.toSorted((a, b) => Math.abs(b) - Math.abs(a))[0] ?? Number.NaN
  const second = Math.max(...results.map(({ peaks }) => peaks.second))
  const halfSecond = Math.max(...results.map(({ peaks }) => peaks.halfSecond))
  say(
    `maxRate ${RATE}: off by ${off.map(part => `${(part * 100).toFixed(2)} %`).join(', ')}, ${median(results.map(({ batches }) => batches))} batches`,
  )
  return [
    {
      figure: `a backfill with --max-rate ${RATE} over 2 M records (the fullest second ${second.toFixed(2)} ×, half second ${halfSecond.toFixed(2)} ×), farthest of ${rounds}`,
      ...{ value: `${(farthest * 100).toFixed(2)} %`, bar: `within ${BAR * 100} %`, met: Math.abs(farthest) <= BAR },
    },
  ]
}
