/**
 * `npm run bench [-- read latency idle stream]`: measures against a real broker, each reader in a process of its own and in turn, so that a
 * slower moment of the machine hits all of them. What counts are the ratios; absolutes are recorded, and nothing is asserted.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import type { KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { readWithJava } from './readers/java.ts'
import type { ReadResult } from './readers/measure.ts'
import { runChild } from './run-child.ts'
import { fillReadTopics, makeTopic, READ_TOPICS } from './topics.ts'

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3)
const PARTS = ['read', 'stream', 'latency', 'idle'] as const

type Row = { readonly figure: string; readonly value: string; readonly bar: string; readonly met: boolean | undefined }

const wanted = process.argv.slice(2).filter(argument => !argument.startsWith('-'))
const has = (part: (typeof PARTS)[number]) => wanted.length === 0 || wanted.includes(part)
const rows: Row[] = []
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
    await fillReadTopics(kafka, has('read') ? READ_TOPICS.map(({ topic }) => topic) : ['bench-none'], say)
  }
  if (has('read')) await benchRead(kafka)
  if (has('stream')) await benchStream(kafka)
  if (has('latency')) await benchLatency(kafka)
  if (has('idle')) await benchIdle(kafka)
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
  for (const { topic, count } of READ_TOPICS) {
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

function print(): void {
  process.stdout.write('\n| figure | measured | at least | |\n|---|---|---|---|\n')
  for (const { figure, value, bar, met } of rows)
    process.stdout.write(`| ${figure} | ${value} | ${bar} | ${met === undefined ? '' : met ? 'met' : 'MISSED'} |\n`)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function say(line: string): void {
  process.stderr.write(`bench: ${line}\n`)
}
