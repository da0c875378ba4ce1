/** JSON parse and count: the job that threads are measured by. What it reads comes from the environment, which workers inherit. */
import { json, kafkaSource } from '../../../connectors/kafka/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { type LimitOptions, type Sink, stream } from '../../../src/index.ts'

type Order = { readonly id: string; readonly amount: number }
export type CountJob = { readonly brokers: readonly string[]; readonly topic: string; readonly limits: LimitOptions }

const { brokers, topic, limits }: CountJob = JSON.parse(
  process.env.BENCH_COUNT_JOB ?? '{"brokers":["localhost:9092"],"topic":"none","limits":{}}',
)

/** Takes slices in any order, so that a hot partition can be read by several threads. */
const countSink: Sink<Order> = {
  name: 'count',
  guarantee: 'at-least-once',
  ordering: 'none',
  async write(_task, rows) {
    let sum = 0
    for await (const array of rows) for (const row of array) sum += row.amount
    if (Number.isNaN(sum)) throw new RangeError('A row without an amount.')
  },
}

export default stream({ name: 'count', batchIntervalMs: 0, limits, log: silentLog })
  .from(kafkaSource({ kafka: { brokers: [...brokers] }, topics: [topic] }))
  .map(json<Order>())
  .to(countSink)
