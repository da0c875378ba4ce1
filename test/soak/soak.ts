/**
 * `npm run soak -- --minutes N --seed S`: a random walk. Five streams, one a store, each with two drivers of which one stands by, read a topic of
 * transactions while drivers are killed and paused and servers are killed and started again. At the end every destination must hold what the Java
 * client reads under read_committed, each record once. The seed gives the steps; a run ends with 0 only where nothing was lost, doubled or surprising.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { makeTopic } from '../bench/topics.ts'
import type { MatrixStream, OutputKind, StoreKind } from '../crash/matrix/plan.ts'
import { prepareOutput, readOutput } from '../crash/matrix/read-output.ts'
import { runDriver } from '../crash/matrix/run-driver.ts'
import { openStore } from '../crash/matrix/stores.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { readAll } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import type { Service } from '../support/services/service.ts'
import { startPostgres } from '../support/services/start-postgres.ts'
import { startRedis } from '../support/services/start-redis.ts'
import { startZookeeper } from '../support/services/start-zookeeper.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { endTransactionLater } from './open-transaction.ts'
import { planWalk, type WalkServer, type WalkStep } from './schedule.ts'
import { WalkingDriver } from './walking-driver.ts'

const RECORDS_PER_SECOND = 400
const PIECE_SECONDS = 20
const LEASE_TTL_MS = 2_000
const BROKER_THAT_RESTARTS = 1
const STREAMS: readonly (readonly [StoreKind, OutputKind])[] = [
  ['sqlite', 'files'],
  ['postgres', 'postgres append'],
  ['redis', 'redis'],
  ['zookeeper', 'postgres upsert'],
  ['kafka', 'kafka'],
]

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: String(Date.now() % 1e9) } },
})
const minutes = Number(values.minutes)
const seed = Number(values.seed)
if (!(minutes > 0) || !Number.isSafeInteger(seed)) throw new Error('npm run soak -- --minutes N --seed S: N above 0, S a whole number.')
const runMs = minutes * 60_000

say(`seed ${seed}, ${minutes} minutes; starting Kafka (2 brokers), Postgres, Redis and ZooKeeper`)
await using kafka = await startKafka({ brokers: 2, own: true })
await using postgres = await startPostgres({ own: true })
await using redis = await startRedis({ own: true })
await using zookeeper = await startZookeeper({ own: true })
const folder = await mkdtemp(join(tmpdir(), 'tidemark-soak-'))
const topic = 'walk'
await makeTopic(kafka, topic)

const streams = STREAMS.map(
  ([store, output], n): MatrixStream => ({
    ...{ stream: `walk-${n}`, store, output, target: `walk_${n}`, folder: join(folder, String(n)), brokers: kafka.brokers, topic },
    ...{ postgres: postgres.address, redis: redis.address, zookeeper: zookeeper.address },
    ...{ recordsPerBatch: 200, leaseTtlMs: LEASE_TTL_MS, until: 'stopped', steal: false },
  }),
)
for (const stream of streams) {
  await mkdir(stream.folder)
  await prepareOutput(stream, kafka)
}
const restarts = new Map<WalkServer, Promise<void>>()
const steps = planWalk(seed, runMs, { drivers: streams.length * 2, leaseTtlMs: LEASE_TTL_MS })
say(`${steps.length} steps planned`)

const producing = produceUntil(performance.now() + runMs)
const drivers = streams.flatMap(stream => [new WalkingDriver(stream), new WalkingDriver(stream)])
const underWay: Promise<unknown>[] = []
const startedAt = performance.now()
for (const step of steps) {
  await sleep(Math.max(0, startedAt + step.atMs - performance.now()))
  underWay.push(take(step).catch(error => say(`${step.kind} failed: ${error instanceof Error ? error.message : error}`)))
}
await sleep(Math.max(0, startedAt + runMs - performance.now()))
const { committed, aborted } = await producing
say(`produced ${committed} committed and ${aborted} aborted records; healing`)
await Promise.all(underWay)
await Promise.all(drivers.map(driver => driver.end()))

// A transaction that was left open holds readers back until the broker aborts it; whoever finished before that would have less than the oracle.
await waitUntil('no transaction is open', async () => (await ends('read_committed')) === (await ends('read_uncommitted')), {
  timeoutMs: 120_000,
})

const wrong: string[] = drivers.flatMap(({ stream, surprises }) =>
  surprises.map(said => `a driver of ${name(stream)} ended by itself: ${said}`),
)
for (const stream of streams) {
  const ended = await runDriver({ ...stream, until: 'latest', steal: true })
  if (ended.code !== 0) wrong.push(`${name(stream)} could not be finished: ${ended.stderr.slice(-2_000)}`)
}
const byJava = (await readAll(kafka, topic, 'read_committed')).map(({ partition, offset }) => `${partition}:${offset}`)
let batches = 0
let epochs = 0
for (const stream of streams) {
  const written = await readOutput(stream, kafka, '')
  const different = new Set(written)
  const lost = byJava.filter(place => !different.has(place)).length
  const doubled = written.length - different.size
  const foreign = different.size + lost - byJava.length
  if (lost + doubled + foreign > 0) wrong.push(`${name(stream)}: ${lost} lost, ${doubled} doubled, ${foreign} that Java does not read`)
  const store = openStore(stream)
  const state = await store.read(stream.stream)
  await store.close()
  batches += state.lastBatchId
  epochs += state.epoch
}
const count = (kind: WalkStep['kind']) => steps.filter(step => step.kind === kind).length
const summary = {
  ...{ seed, minutes, records: byJava.length, aborted, streams: streams.length, batches, epochs },
  kills: count('kill driver'),
  pauses: count('pause driver'),
  fenced: drivers.reduce((sum, { fenced }) => sum + fenced, 0),
  serverRestarts: count('restart server'),
  wrong,
}
await mkdir('.tidemark', { recursive: true })
await writeFile(join('.tidemark', 'soak.json'), `${JSON.stringify(summary, null, 2)}\n`)
await rm(folder, { recursive: true, force: true })
for (const line of wrong) say(line)
process.stdout.write(
  `soak: seed ${seed}, ${minutes} minutes, ${streams.length} streams, ${byJava.length} records each, ${batches} batches, ${summary.kills} kills, ` +
    `${summary.pauses} pauses, ${summary.serverRestarts} server restarts, ${summary.fenced} fenced: ${wrong.length === 0 ? '0 lost, 0 doubled' : 'FAILED'}\n`,
)
process.exitCode = wrong.length === 0 ? 0 : 1

/** Piece by piece: a producer that gives up while a broker is away is followed by another, as any service would be. */
async function produceUntil(endsAt: number): Promise<{ committed: number; aborted: number }> {
  const produced = { committed: 0, aborted: 0 }
  const count = RECORDS_PER_SECOND * PIECE_SECONDS
  for (let firstId = 0; performance.now() < endsAt; firstId += count) {
    try {
      const piece = await produce(kafka, {
        ...{ topic, count, firstId, perSecond: RECORDS_PER_SECOND },
        ...{ keys: true, transactionRecords: 40, abortEvery: 5, producers: 3 },
      })
      produced.committed += piece.committed
      produced.aborted += piece.aborted
    } catch (error) {
      say(`a producer gave up: ${String(error).split('\n').at(-1)}`)
    }
  }
  return produced
}

async function take(step: WalkStep): Promise<void> {
  switch (step.kind) {
    case 'kill driver':
      return drivers[step.driver]?.kill()
    case 'stop driver':
      return drivers[step.driver]?.stop()
    case 'pause driver':
      drivers[step.driver]?.pause()
      await sleep(step.forMs)
      return drivers[step.driver]?.wake()
    case 'restart server':
      return restart(step.server, step.downMs)
    case 'leave a transaction open':
    case 'abort a transaction':
      return endTransactionLater(kafka, topic, step.records, step.kind === 'abort a transaction')
    default:
      step satisfies never
  }
}

/** One after another: a server that is killed while it starts is no more than one that starts twice. */
function restart(server: WalkServer, downMs: number): Promise<void> {
  const restarted = (restarts.get(server) ?? Promise.resolve()).then(() => restartNow(server, downMs))
  restarts.set(server, restarted)
  return restarted
}

async function restartNow(server: WalkServer, downMs: number): Promise<void> {
  if (server === 'broker') {
    await kafka.killBroker(BROKER_THAT_RESTARTS)
    await sleep(downMs)
    return kafka.startBroker(BROKER_THAT_RESTARTS)
  }
  const service: Service = { postgres, redis, zookeeper }[server]
  await service.kill()
  await sleep(downMs)
  await service.start()
}

async function ends(isolation: 'read_committed' | 'read_uncommitted'): Promise<string> {
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic], isolation })
  return JSON.stringify((await source.latestOffsets()).map(({ partition, offset }) => [partition, offset]))
}

function name({ store, output }: MatrixStream): string {
  return `${store} → ${output}`
}

function say(line: string): void {
  process.stderr.write(`soak: ${line}\n`)
}
