/**
 * `npm run soak -- --minutes N --seed S`: a random walk. Five streams, one a store, each with two drivers of which one stands by, read a topic of
 * transactions, and a sixth with its tasks on three executors reads one of up to a million records, while drivers and executors are killed and paused and
 * servers are killed and started again. At the end every destination must hold what the Java client reads under read_committed, each record once. The
 * seed gives the steps; a run ends with 0 only where nothing was lost, doubled or surprising.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { makeTopic } from '../bench/topics.ts'
import { stateOf } from '../crash/executors/fleet-commands.ts'
import { emptyRedis } from '../crash/executors/fleet-walk.ts'
import { compareFleet, makeFleet, placesByJava } from '../crash/executors/make-fleet.ts'
import type { MatrixStream, OutputKind, StoreKind } from '../crash/matrix/plan.ts'
import { prepareOutput, readOutput } from '../crash/matrix/read-output.ts'
import { runDriver } from '../crash/matrix/run-driver.ts'
import { openStore } from '../crash/matrix/stores.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { comparePlaces, type Difference } from '../support/compare-places.ts'
import { produce } from '../support/produce.ts'
import type { Service } from '../support/services/service.ts'
import { startPostgres } from '../support/services/start-postgres.ts'
import { startRedis } from '../support/services/start-redis.ts'
import { startZookeeper } from '../support/services/start-zookeeper.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { endTransactionLater } from './open-transaction.ts'
import { planWalk, type WalkServer, type WalkStep } from './schedule.ts'
import { walkingDriver } from './walking-driver.ts'
import { WalkingFleet } from './walking-fleet.ts'

const RECORDS_PER_SECOND = 400
const PIECE_SECONDS = 20
const LEASE_TTL_MS = 2_000
/** The executors' own, which the command does not change. */
const LOCK_MS = 3_000
const EXECUTORS = 3
/** A fifth of them is aborted, and a million is left. */
const FLEET_RECORDS = 1_250_000
/** So that a short soak is no race of the producer. */
const FLEET_RECORDS_PER_SECOND = 2_500
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
await using executorsRedis = await startRedis({ own: true })
const folder = await mkdtemp(join(tmpdir(), 'tidemark-soak-'))
const topic = 'walk'
await makeTopic(kafka, topic)
const fleetTopic = 'fleet'
await makeTopic(kafka, fleetTopic)

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
const fleetStream = await makeFleet(kafka, {
  ...{ stream: 'walk-fleet', folder: join(folder, 'fleet'), postgres: postgres.address, leaseTtlMs: LEASE_TTL_MS },
  flows: [{ topic: fleetTopic, outputs: ['postgres append', 'files'] }],
  ...{ recordsPerBatch: 10_000, recordsPerTask: 1_000 },
})
const steps = planWalk(seed, runMs, {
  ...{ drivers: (streams.length + 1) * 2, leaseTtlMs: LEASE_TTL_MS },
  ...{ executors: EXECUTORS, lockMs: LOCK_MS },
})
say(`${steps.length} steps planned`)

const endsAt = performance.now() + runMs
const producing = produceUntil(endsAt, topic, RECORDS_PER_SECOND)
const fleetPerSecond = Math.min(FLEET_RECORDS_PER_SECOND, Math.ceil((FLEET_RECORDS / runMs) * 1_000))
const producingForFleet = produceUntil(endsAt, fleetTopic, fleetPerSecond)
const fleet = new WalkingFleet(fleetStream, executorsRedis.address, EXECUTORS)
const drivers = [...streams.flatMap(stream => [walkingDriver(stream), walkingDriver(stream)]), ...fleet.drivers]
const underWay: Promise<unknown>[] = []
const startedAt = performance.now()
for (const step of steps) {
  await sleep(Math.max(0, startedAt + step.atMs - performance.now()))
  underWay.push(take(step).catch(error => say(`${step.kind} failed: ${error instanceof Error ? error.message : error}`)))
}
await sleep(Math.max(0, startedAt + runMs - performance.now()))
const { committed, aborted } = await producing
const forFleet = await producingForFleet
say(`produced ${committed} + ${forFleet.committed} committed and ${aborted} + ${forFleet.aborted} aborted records; healing`)
await Promise.all(underWay)
await Promise.all(drivers.map(driver => driver.end()))

// A transaction that was left open holds readers back until the broker aborts it; whoever finished before that would have less than the oracle.
await waitUntil('no transaction is open', async () => (await ends('read_committed')) === (await ends('read_uncommitted')), {
  timeoutMs: 120_000,
})

const wrong: string[] = [...drivers, ...fleet.executors].flatMap(({ label, surprises }) =>
  surprises.map(said => `${label} ended by itself: ${said}`),
)
for (const stream of streams) {
  const ended = await runDriver({ ...stream, until: 'latest', steal: true })
  if (ended.code !== 0) wrong.push(`${name(stream)} could not be finished: ${ended.stderr.slice(-2_000)}`)
}
const unfinished = await fleet.finish()
if (unfinished !== undefined) wrong.push(`the stream with executors could not be finished: ${unfinished}`)
await Promise.all(fleet.executors.map(executor => executor.end()))

const byJava = await placesByJava(kafka, topic)
let batches = 0
let epochs = 0
for (const stream of streams) {
  complain(name(stream), comparePlaces(await readOutput(stream, kafka, ''), byJava))
  const store = openStore(stream)
  const state = await store.read(stream.stream)
  await store.close()
  batches += state.lastBatchId
  epochs += state.epoch
}
const fleetByJava = await placesByJava(kafka, fleetTopic)
const differences = await compareFleet(fleetStream, kafka, new Map([[fleetTopic, fleetByJava]]))
for (const [output, difference] of differences) complain(`executors → ${output}`, difference)
const fleetState = await stateOf(fleetStream)
const count = (kind: WalkStep['kind']) => steps.filter(step => step.kind === kind).length
const isOfFleetRedis = (step: WalkStep) =>
  step.kind === 'empty the executors’ redis' || (step.kind === 'restart server' && step.server === 'executors’ redis')
const summary = {
  ...{ seed, minutes, records: byJava.length, aborted, streams: streams.length + 1, batches, epochs },
  kills: count('kill driver'),
  pauses: count('pause driver'),
  fenced: drivers.reduce((sum, { fenced }) => sum + fenced, 0),
  serverRestarts: count('restart server'),
  executors: {
    ...{ processes: EXECUTORS, records: fleetByJava.length, batches: fleetState.lastBatchId, epochs: fleetState.epoch },
    ...{ kills: count('kill executor'), pauses: count('pause executor'), drains: count('drain executor') },
    redisRestarts: steps.filter(isOfFleetRedis).length,
  },
  wrong,
}
await mkdir('.tidemark', { recursive: true })
await writeFile(join('.tidemark', 'soak.json'), `${JSON.stringify(summary, null, 2)}\n`)
await rm(folder, { recursive: true, force: true })
for (const line of wrong) say(line)
process.stdout.write(
  `soak: seed ${seed}, ${minutes} minutes, ${summary.streams} streams, ${byJava.length} records each, ${batches} batches, ${summary.kills} kills, ` +
    `${summary.pauses} pauses, ${summary.serverRestarts} server restarts, ${summary.fenced} fenced; on ${EXECUTORS} executors ${fleetByJava.length} records, ` +
    `${fleetState.lastBatchId} batches, ${summary.executors.kills} executor kills, ${summary.executors.pauses} pauses, ${summary.executors.drains} drains, ` +
    `${summary.executors.redisRestarts} redis restarts: ${wrong.length === 0 ? '0 lost, 0 doubled' : 'FAILED'}\n`,
)
process.exitCode = wrong.length === 0 ? 0 : 1

/** Piece by piece: a producer that gives up while a broker is away is followed by another, as any service would be. */
async function produceUntil(endsAt: number, topic: string, perSecond: number): Promise<{ committed: number; aborted: number }> {
  const produced = { committed: 0, aborted: 0 }
  const count = perSecond * PIECE_SECONDS
  for (let firstId = 0; performance.now() < endsAt; firstId += count) {
    try {
      const piece = await produce(kafka, {
        ...{ topic, count, firstId, perSecond },
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
    case 'kill executor':
      return fleet.executors[step.executor]?.kill()
    case 'drain executor':
      return fleet.executors[step.executor]?.stop()
    case 'pause executor':
      fleet.executors[step.executor]?.pause()
      await sleep(step.forMs)
      return fleet.executors[step.executor]?.wake()
    case 'empty the executors’ redis':
      return emptyRedis(executorsRedis.address)
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
  const service: Service = { postgres, redis, zookeeper, 'executors’ redis': executorsRedis }[server]
  await service.kill()
  await sleep(downMs)
  await service.start()
}

async function ends(isolation: 'read_committed' | 'read_uncommitted'): Promise<string> {
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic, fleetTopic], isolation })
  return JSON.stringify((await source.latestOffsets()).map(({ topic, partition, offset }) => [topic, partition, offset]))
}

function complain(about: string, { lost, doubled, foreign }: Difference): void {
  if (lost + doubled + foreign > 0) wrong.push(`${about}: ${lost} lost, ${doubled} doubled, ${foreign} that Java does not read`)
}

function name({ store, output }: MatrixStream): string {
  return `${store} → ${output}`
}

function say(line: string): void {
  process.stderr.write(`soak: ${line}\n`)
}
