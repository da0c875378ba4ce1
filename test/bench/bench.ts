/**
 * `npm run bench [-- read stream latency idle plan partitions memory isolation rate stores postgres files to-kafka to-http executors soak]`: measures against a real broker, each reader in a process of its own and in turn, so that a
 * slower moment of the machine hits all of them. What counts are the ratios; absolutes are recorded, and nothing is asserted.
 *
 * `BENCH_ROUNDS` (3), `BENCH_TOPICS` (of those that are read, such as `bench-none,bench-1k`) and `SOAK_MINUTES` (10) cut it. The soak runs only
 * where it is named.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import type { KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { produce } from '../support/produce.ts'
import { benchExecutors } from './bench-executors.ts'
import { benchFiles } from './bench-files.ts'
import { benchPostgres } from './bench-postgres.ts'
import { benchRate } from './bench-rate.ts'
import { benchStores } from './bench-stores.ts'
import { benchToHttp } from './bench-to-http.ts'
import { benchToKafka } from './bench-to-kafka.ts'
import type { IsolationResult } from './isolation.ts'
import type { ManyPartitionsResult } from './many-partitions.ts'
import type { PlanResult } from './plan.ts'
import { readWithJava } from './readers/java.ts'
import type { ReadResult } from './readers/measure.ts'
import { type BenchRow, median } from './report.ts'
import { runChild, SOURCES } from './run-child.ts'
import type { SlowSinkArguments, SlowSinkResult } from './slow-sink.ts'
import type { SoakResult } from './soak.ts'
import { fillReadTopics, makeTopic, PARTITIONS, READ_TOPICS } from './topics.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const SOAK_MINUTES = Number(process.env.SOAK_MINUTES ?? 10)
const PARTS = [
  'read',
  'stream',
  'latency',
  'idle',
  'plan',
  'partitions',
  'memory',
  'isolation',
  'rate',
  'stores',
  'postgres',
  'files',
  'to-kafka',
  'to-http',
  'executors',
  'soak',
] as const
const MIB = 1_048_576

const wanted = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const has = (part: (typeof PARTS)[number]) => (wanted.length === 0 ? part !== 'soak' : wanted.includes(part))
const readTopics = READ_TOPICS.filter(({ topic }) => (process.env.BENCH_TOPICS ?? topic).split(',').includes(topic))
const rows: BenchRow[] = []
const recorded: Record<string, unknown> = {}

await main()

async function main(): Promise<void> {
  const unknown = wanted.filter(part => !PARTS.some(known => known === part))
  if (unknown.length > 0) throw new Error(`No such part: ${unknown.join(', ')}. There are ${PARTS.join(', ')}.`)
  await using kafka = await startKafka()
  say(
    `${kafka.origin}; ${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown'}; Node ${process.version}; ${ROUNDS} rounds, medians`,
  )
  if (has('read') || has('stream')) {
    const topics = new Set([...(has('read') ? readTopics.map(({ topic }) => topic) : []), ...(has('stream') ? ['bench-none'] : [])])
    await fillReadTopics(kafka, [...topics], say)
  }
  if (has('read')) await benchRead(kafka)
  if (has('stream')) await benchStream(kafka)
  if (has('latency')) await benchLatency(kafka)
  if (has('idle')) await benchIdle(kafka)
  if (has('plan')) await benchPlan()
  if (has('partitions')) await benchPartitions(kafka)
  if (has('memory')) await benchMemory(kafka)
  if (has('isolation')) await benchIsolation(kafka)
  const bench = { rounds: ROUNDS, say, recorded }
  if (has('rate')) rows.push(...(await benchRate(kafka, bench)))
  if (has('stores')) rows.push(...(await benchStores(kafka, bench)))
  if (has('postgres')) rows.push(...(await benchPostgres(kafka, bench)))
  if (has('files')) rows.push(...(await benchFiles(kafka, bench)))
  if (has('to-kafka')) rows.push(...(await benchToKafka(kafka, bench)))
  if (has('to-http')) rows.push(...(await benchToHttp(kafka, bench)))
  if (has('executors')) rows.push(...(await benchExecutors(kafka, bench)))
  if (has('soak')) await benchSoak(kafka)
  print()
  await mkdir('.tidemark', { recursive: true })
  await writeFile(join('.tidemark', 'bench.json'), `${JSON.stringify({ at: new Date().toISOString(), rows, recorded }, null, 2)}\n`)
}

async function benchRead(kafka: KafkaCluster): Promise<void> {
  const bars: Record<string, { kafkajs: number; platformatic?: number; java?: number }> = {
    'bench-none': { kafkajs: 5.5, platformatic: 6.5, java: 2.2 },
    'bench-lz4': { kafkajs: 4.5, platformatic: 3.5 },
    'bench-zstd': { kafkajs: 4.3, platformatic: 2.8 },
    'bench-1k': { kafkajs: 1.8, java: 2 },
  }
  let peakRssMiB = 0
  for (const { topic, count } of readTopics) {
    const rates: Record<'tidemark' | 'kafkajs' | 'platformatic' | 'java', number[]> = {
      tidemark: [],
      kafkajs: [],
      platformatic: [],
      java: [],
    }
    const cpu: Record<string, number[]> = {}
    for (let round = 0; round < ROUNDS; round++) {
      for (const reader of ['tidemark', 'kafkajs', 'platformatic'] as const) {
        const result = await runChild<ReadResult>(`readers/${reader}.ts`, [kafka.brokers, topic, count])
        if (result.records !== count) throw new Error(`${reader} read ${result.records} of the ${count} records in ${topic}.`)
        rates[reader].push(count / result.ms / 1000)
        cpu[reader] = [...(cpu[reader] ?? []), result.cpuMs / 1000]
        if (reader === 'tidemark') peakRssMiB = Math.max(peakRssMiB, result.peakRssMiB)
      }
      rates.java.push((await readWithJava(kafka, topic, count)).wholeRun / 1e6)
    }
    recorded[topic] = { millionRecordsPerSecond: rates, cpuSeconds: cpu }
    const own = median(rates.tidemark)
    say(
      `${topic}: ${Object.entries(rates)
        .map(([reader, all]) => `${reader} ${median(all).toFixed(2)}`)
        .join(', ')} M records/s`,
    )
    for (const peer of ['kafkajs', 'platformatic', 'java'] as const) {
      const ratio = median(rates.tidemark.map((rate, round) => rate / (rates[peer][round] ?? Number.NaN)))
      const bar = bars[topic]?.[peer]
      rows.push({
        figure: `${topic}: ${own.toFixed(2)} M records/s, against ${peer === 'platformatic' ? '@platformatic/kafka' : peer} (${median(rates[peer]).toFixed(2)})`,
        value: `${ratio.toFixed(1)} ×`,
        bar: bar === undefined ? '' : `${bar} ×`,
        met: bar === undefined ? undefined : ratio >= bar,
      })
    }
  }
  rows.push({ figure: 'peak memory of all these reads', value: `${peakRssMiB.toFixed(0)} MiB`, bar: '350 MiB', met: peakRssMiB <= 350 })
}

async function benchStream(kafka: KafkaCluster): Promise<void> {
  const results: ReadResult[] = []
  for (let round = 0; round < ROUNDS; round++) results.push(await runChild<ReadResult>('whole-stream.ts', [kafka.brokers, 'bench-none']))
  recorded.wholeStream = results
  const rate = median(results.map(({ records, ms }) => records / ms / 1000))
  rows.push({
    figure: 'whole stream, 5 M records, 1 M a batch',
    value: `${rate.toFixed(2)} M records/s`,
    bar: '4 M records/s',
    met: rate >= 4,
  })
}

async function benchLatency(kafka: KafkaCluster): Promise<void> {
  await makeTopic(kafka, 'bench-latency', 1)
  type Percentiles = { p50: number; p99: number; max: number }
  const result = await runChild<{ fromSend: Percentiles; fromAcknowledgement: Percentiles }>('latency.ts', [kafka.brokers, 'bench-latency'])
  recorded.latency = result
  const { p50, p99 } = result.fromSend
  rows.push({
    figure: 'record sent → committed, 100 records/s: p50 / p99',
    value: `${p50.toFixed(1)} / ${p99.toFixed(1)} ms`,
    bar: '5 / 20 ms',
    met: p50 <= 5 && p99 <= 20,
  })
}

async function benchIdle(kafka: KafkaCluster): Promise<void> {
  await makeTopic(kafka, 'bench-idle')
  for (const batchIntervalMs of [0, 1000]) {
    const result = await runChild<{ coreShare: number; requestsPerSecondPerBroker: number }>('idle.ts', [
      kafka.brokers,
      'bench-idle',
      batchIntervalMs,
    ])
    recorded[`idle-${batchIntervalMs}`] = result
    const { coreShare, requestsPerSecondPerBroker } = result
    rows.push({
      figure: `an idle stream, batchIntervalMs ${batchIntervalMs}`,
      value: `${(coreShare * 100).toFixed(2)} % of a core, ${requestsPerSecondPerBroker.toFixed(2)} requests/s a broker`,
      bar: '1 %, 4 requests/s',
      met: coreShare <= 0.01 && requestsPerSecondPerBroker <= 4,
    })
  }
}

async function benchPlan(): Promise<void> {
  const results = await runChild<PlanResult[]>('plan.ts', [[1_000, 10_000, 100_000]])
  recorded.plan = results
  const total = ({ planMs, splitMs }: PlanResult) => planMs + splitMs
  const [, ten, hundred] = results as [PlanResult, PlanResult, PlanResult]
  rows.push({
    figure: `planBatch + splitRanges, 10,000 partitions into ${ten.tasks.toLocaleString('en-US')} tasks`,
    value: `${total(ten).toFixed(1)} ms`,
    bar: '20 ms',
    met: total(ten) <= 20,
  })
  const growth = total(hundred) / total(ten)
  rows.push({
    figure: `the same, 100,000 partitions (${total(hundred).toFixed(0)} ms)`,
    value: `${growth.toFixed(1)} × for 10 ×`,
    bar: 'linear',
    met: growth <= 15,
  })
}

async function benchPartitions(kafka: KafkaCluster): Promise<void> {
  const partitions = 1_000
  await makeTopic(kafka, 'bench-partitions', partitions)
  // Small batches, or a thousand open ones fill the producer's buffer; no sequence numbers, for a broker that is still making logs answers late.
  await produce(kafka, { topic: 'bench-partitions', count: partitions * 100, batchBytes: 16_384, lingerMs: 500, idempotent: false })
  const results: ManyPartitionsResult[] = []
  for (let round = 0; round < ROUNDS; round++) {
    results.push(...(await runChild<ManyPartitionsResult[]>('many-partitions.ts', [kafka.brokers, 'bench-partitions'])))
  }
  recorded.partitions = results
  const whole = median(results.map(({ wholeMs }) => wholeMs))
  rows.push({
    figure: `1,000 partitions × 100 records, planned to committed (whole run ${median(results.map(({ runMs }) => runMs)).toFixed(0)} ms)`,
    value: `${whole.toFixed(0)} ms`,
    bar: '400 ms',
    met: whole <= 400,
  })
}

async function benchMemory(kafka: KafkaCluster): Promise<void> {
  const maxBytesInFlight = 64 * MIB
  for (const compression of ['none', 'lz4'] as const) {
    const topic = `bench-large-${compression}`
    const count = 400
    await makeTopic(kafka, topic, 8, { 'max.message.bytes': String(16 * MIB) })
    await produce(kafka, { topic, count, bytes: 1_000_000, compression })
    const job: SlowSinkArguments = { brokers: kafka.brokers, topic, maxBytesInFlight, taskMs: 1_000, maxRecordsPerTask: 20 }
    const result = await runChild<SlowSinkResult>('slow-sink.ts', [job], [])
    if (result.records !== count) throw new Error(`The slow sink got ${result.records} of ${count} records.`)
    recorded[`memory-${compression}`] = result
    const bar = maxBytesInFlight / MIB + 200_000_000 / MIB
    rows.push({
      figure: `a sink that takes 1 s a task, records of 1 MB (${compression}), maxBytesInFlight 64 MiB: peak memory`,
      value: `${result.peakRssMiB.toFixed(0)} MiB`,
      bar: `${bar.toFixed(0)} MiB`,
      met: result.peakRssMiB <= bar,
    })
  }
}

async function benchIsolation(kafka: KafkaCluster): Promise<void> {
  const topic = 'bench-transactions'
  await makeTopic(kafka, topic)
  const { records, aborted } = await produce(kafka, { topic, count: 400_000, transactionRecords: 100, abortEvery: 5, producers: 4 })
  say(`${topic}: ${records} records in transactions of 100, ${aborted} aborted`)
  const results = await runChild<IsolationResult[]>('isolation.ts', [kafka.brokers, topic, Math.max(ROUNDS, 5)])
  recorded.isolation = results
  const speeds = (wanted: string) => results.filter(({ isolation }) => isolation === wanted).map(({ offsetsPerSecond }) => offsetsPerSecond)
  const committed = speeds('read_committed')
  const all = speeds('read_uncommitted')
  const ratio = median(committed.map((speed, round) => speed / (all[round] ?? Number.NaN)))
  rows.push({
    figure: `read_committed (${(median(committed) / 1e6).toFixed(2)} M offsets/s) against read_uncommitted, transactions of 100, one in five aborted`,
    value: `${ratio.toFixed(2)} ×`,
    bar: '0.8 ×',
    met: ratio >= 0.8,
  })
}

/** An hour at 50,000 records a second, in the time that is given. */
async function benchSoak(kafka: KafkaCluster): Promise<void> {
  const topic = 'bench-soak'
  const perSecond = Math.round((50_000 * 60) / 10)
  const runMs = SOAK_MINUTES * 60_000
  await makeTopic(kafka, topic, PARTITIONS, { 'segment.bytes': String(64 * MIB), 'retention.bytes': String(512 * MIB) })
  const producing = produce(kafka, { topic, count: Math.round((perSecond * runMs) / 1_000), perSecond, compression: 'lz4' })
  const [result] = await Promise.all([runChild<SoakResult>('soak.ts', [kafka.brokers, topic, runMs], [SOURCES, '--expose-gc']), producing])
  recorded.soak = result
  // What is read first is compiled, opened and learnt; from a sixth on nothing may grow.
  const settled = result.samples.slice(Math.ceil(result.samples.length / 6))
  const part = (from: number) => settled.slice(Math.floor(settled.length * from), Math.floor(settled.length * (from + 1 / 3)))
  const growth = (of: (sample: SoakResult['samples'][number]) => number) => median(part(2 / 3).map(of)) / median(part(0).map(of)) - 1
  const rss = growth(({ rssMiB }) => rssMiB)
  const heap = growth(({ heapMiB }) => heapMiB)
  const handles = Math.max(...part(2 / 3).map(sample => sample.handles)) - Math.max(...part(0).map(sample => sample.handles))
  rows.push({
    figure: `${SOAK_MINUTES} minutes at ${perSecond.toLocaleString('en-US')} records/s, ${result.batches} batches: growth of memory (heap ${(heap * 100).toFixed(1)} %), of handles`,
    value: `${(rss * 100).toFixed(1)} %, ${handles}`,
    bar: '10 %, 0',
    met: Math.abs(rss) <= 0.1 && Math.abs(heap) <= 0.1 && handles <= 0,
  })
}

function print(): void {
  process.stdout.write('\n| figure | measured | at least | |\n|---|---|---|---|\n')
  for (const { figure, value, bar, met } of rows)
    process.stdout.write(`| ${figure} | ${value} | ${bar} | ${met === undefined ? '' : met ? 'met' : 'MISSED'} |\n`)
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
