/** What a stream costs that has nothing to do: processor time of the process, and bytes sent as a sign of requests, over a while. */
import { mkdtemp, rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Kafka, logLevel } from 'kafkajs'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { childArguments, giveResult } from './run-child.ts'

const SETTLE_MS = 3_000
const MEASURE_MS = 20_000

const [brokers, topic, batchIntervalMs] = childArguments<[brokers: string[], topic: string, batchIntervalMs: number]>()

// Requests are counted on the way: a socket factory of kafkajs puts a relay between, which counts frames towards the broker.
let requests = 0
const relays = new Map<string, number>()
const sockets = new Set<Socket>()

async function relayTo(host: string, port: number): Promise<number> {
  const key = `${host}:${port}`
  const known = relays.get(key)
  if (known !== undefined) return known
  const server = createServer(client => {
    const broker = createConnection({ host, port })
    sockets.add(client).add(broker)
    let pending = Buffer.alloc(0)
    client.on('data', chunk => {
      pending = Buffer.concat([pending, chunk])
      while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
        requests += 1
        pending = pending.subarray(4 + pending.readInt32BE(0))
      }
    })
    client.pipe(broker).pipe(client)
    for (const socket of [client, broker]) socket.on('error', () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const local = typeof address === 'object' && address !== null ? address.port : 0
  server.unref()
  relays.set(key, local)
  return local
}

for (const broker of brokers) await relayTo(broker.split(':')[0] ?? '', Number(broker.split(':')[1]))
const kafka = new Kafka({
  brokers,
  logLevel: logLevel.NOTHING,
  socketFactory: ({ host, port, onConnect }) =>
    createConnection({ host: '127.0.0.1', port: relays.get(`${host}:${port}`) ?? port }, onConnect),
})
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
const run = await stream({ name: 'idle', offsets: sqliteOffsets({ path: join(folder, 'offsets.db') }), batchIntervalMs, log: silentLog })
  .from(kafkaSource({ kafka, topics: [topic] }))
  .forEachBatch(() => {})
  .start()

await sleep(SETTLE_MS)
const before = { requests, cpu: process.cpuUsage(), at: performance.now() }
await sleep(MEASURE_MS)
const seconds = (performance.now() - before.at) / 1000
const { user, system } = process.cpuUsage(before.cpu)
const result = {
  coreShare: (user + system) / 1e6 / seconds,
  requestsPerSecondPerBroker: (requests - before.requests) / seconds / brokers.length,
}
await run.stop()
for (const socket of sockets) socket.destroy()
await rm(folder, { recursive: true })
giveResult(result)
