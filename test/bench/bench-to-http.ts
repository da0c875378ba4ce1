import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'
import { type Bench, type BenchRow, median } from './report.ts'
import { runChild } from './run-child.ts'
import type { EndpointCounts } from './to-http/endpoint.ts'
import type { ToHttpArguments, ToHttpResult } from './to-http/tidemark.ts'
import { makeTopic, PARTITIONS } from './topics.ts'

const TOPIC = 'bench-orders-to-http'
const RECORDS = 1_000_000
const ROWS_PER_REQUEST = 500
const CONTESTANTS = ['tidemark', 'kafkajs-loop'] as const

/** Kafka → an HTTP endpoint on loopback against kafkajs and `fetch` by hand, as many rows a request. */
export async function benchToHttp(kafka: KafkaAddress, { rounds, say, recorded }: Bench): Promise<BenchRow[]> {
  await makeTopic(kafka, TOPIC)
  await produce(kafka, { topic: TOPIC, count: RECORDS, bytes: 73 })
  const results: Record<(typeof CONTESTANTS)[number], ToHttpResult[]> = { tidemark: [], 'kafkajs-loop': [] }
  const script = join(import.meta.dirname, 'to-http', 'endpoint.ts')
  const endpoint = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  try {
    const [url] = await once(endpoint.stdout ?? endpoint, 'data')
    for (let round = 0; round < rounds; round++) {
      for (const contestant of CONTESTANTS) results[contestant].push(await send(kafka, contestant, String(url).trim()))
    }
  } finally {
    endpoint.kill()
  }
  recorded.toHttp = results
  const [own, peer] = CONTESTANTS.map(contestant => results[contestant]) as [ToHttpResult[], ToHttpResult[]]
  const rate = (all: readonly ToHttpResult[]) => RECORDS / median(all.map(({ ms }) => ms)) / 1000
  for (const contestant of CONTESTANTS) {
    const all = results[contestant]
    const cpu = median(all.map(({ cpuMs }) => cpuMs)) / 1000
    say(`Kafka → HTTP, ${contestant}: ${rate(all).toFixed(2)} M rows/s, ${cpu.toFixed(1)} s of processor time beside the endpoint's`)
  }
  const ratio = median(own.map(({ ms }, round) => (peer[round]?.ms ?? Number.NaN) / ms))
  return [
    {
      figure: `Kafka → HTTP, 1 M records, ${ROWS_PER_REQUEST} rows a request (${rate(own).toFixed(2)} M rows/s), against kafkajs + fetch by hand (${rate(peer).toFixed(2)})`,
      ...{ value: `${ratio.toFixed(1)} ×`, bar: '', met: undefined },
    },
  ]
}

/** Sends all records, and sees that the endpoint has had each once. */
async function send({ brokers }: KafkaAddress, contestant: (typeof CONTESTANTS)[number], url: string): Promise<ToHttpResult> {
  const job: ToHttpArguments = { brokers, topic: TOPIC, url, count: RECORDS, rowsPerRequest: ROWS_PER_REQUEST, partitions: PARTITIONS }
  const result = await runChild<ToHttpResult>(`to-http/${contestant}.ts`, [job])
  const counts = (await (await fetch(url)).json()) as EndpointCounts
  if (counts.rows !== RECORDS || counts.idSum !== (RECORDS * (RECORDS - 1)) / 2)
    throw new Error(`${contestant} has sent ${counts.rows} rows in ${counts.requests} requests, which are not the ${RECORDS} records.`)
  return result
}
