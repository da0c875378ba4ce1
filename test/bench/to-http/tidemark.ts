/** Kafka → an HTTP endpoint: `httpSink`, rows of a request as lines of JSON, one request after another a partition. */
import { httpSink } from '../../../connectors/http/index.ts'
import { json, kafkaSource } from '../../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import { type Order, type Payment, toPayment } from '../to-kafka/order.ts'

export type ToHttpArguments = {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly url: string
  readonly count: number
  readonly rowsPerRequest: number
  readonly partitions: number
}
export type ToHttpResult = { readonly ms: number; readonly cpuMs: number }

const [{ brokers, topic, url, rowsPerRequest }] = childArguments<[ToHttpArguments]>()

const startedAt = performance.now()
const run = await stream({
  ...{ name: 'to-http', offsets: memoryOffsets(), batchIntervalMs: 0, limits: { maxRecordsPerBatch: 100_000 }, log: silentLog },
})
  .from(kafkaSource({ kafka: { brokers: [...brokers] }, topics: [topic] }))
  .map(json<Order>())
  .map(toPayment)
  .to(httpSink<Payment>({ url, body: 'ndjson', maxRowsPerRequest: rowsPerRequest }))
  .start({ until: 'latest' })
await run.done
const ms = performance.now() - startedAt
const { user, system } = process.cpuUsage()
giveResult({ ms, cpuMs: (user + system) / 1000 } satisfies ToHttpResult)
