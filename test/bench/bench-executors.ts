import type { KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { produce } from '../support/produce.ts'
import { startRedis } from '../support/services/start-redis.ts'
import type { CountArguments, CountResult } from './executors/count.ts'
import { ExecutorProcess } from './executors/executor-process.ts'
import type { ExecutorKind, OverheadArguments, OverheadResult } from './executors/overhead.ts'
import { type Bench, type BenchRow, median } from './report.ts'
import { runChild, spawnChild } from './run-child.ts'
import { makeTopic } from './topics.ts'

/** Spark 4 Structured Streaming, local[2], the same parse-and-count on a machine like this one, M records/s. */
const SPARK = 0.67
const COUNTED_RECORDS = 5_000_000
/** Of one batch. */
const HOT_RECORDS = 2_000_000
/** Read before, for everything to be compiled, in each thread. */
const WARM_UP_RECORDS = 2_000_000
const HOT_WARM_UP_RECORDS = 2 * HOT_RECORDS

/** Threads against in-process, what each executor costs a batch, a killed executor, and a hot partition in slices. */
export async function benchExecutors(kafka: KafkaCluster, bench: Bench): Promise<BenchRow[]> {
  return [...(await benchThreads(kafka, bench)), ...(await benchHotPartition(kafka, bench)), ...(await benchOverhead(bench))]
}

async function benchThreads(kafka: KafkaCluster, { rounds, recorded }: Bench): Promise<BenchRow[]> {
  const topic = 'bench-json'
  const all = WARM_UP_RECORDS + COUNTED_RECORDS
  await makeTopic(kafka, topic)
  await produce(kafka, { topic, count: all, bytes: 73 })
  const job = { brokers: kafka.brokers, topic, limits: { maxRecordsPerBatch: 1_000_000 } }
  const rates: Record<'own' | 'threads', number[]> = { own: [], threads: [] }
  for (let round = 0; round < rounds; round++) {
    rates.own.push(rateOf(await count({ job, threads: 0, warmUpRows: WARM_UP_RECORDS }, all)))
    rates.threads.push(rateOf(await count({ job, threads: 2, warmUpRows: WARM_UP_RECORDS }, all)))
  }
  recorded.threads = rates
  const ratio = median(rates.threads.map((rate, round) => rate / (rates.own[round] ?? Number.NaN)))
  const rate = median(rates.threads)
  return [
    {
      figure: `JSON parse and count of 5 M records, 2 threads (${rate.toFixed(2)} M records/s) against in-process (${median(rates.own).toFixed(2)})`,
      value: `${ratio.toFixed(2)} ×`,
      bar: '1.6 ×',
      met: ratio >= 1.6,
    },
    {
      figure: `the same against Spark 4 Structured Streaming local[2], measured ${SPARK} M records/s`,
      value: `${(rate / SPARK).toFixed(1)} ×`,
      bar: '3 ×',
      met: rate / SPARK >= 3,
    },
  ]
}

async function benchHotPartition(kafka: KafkaCluster, { rounds, recorded }: Bench): Promise<BenchRow[]> {
  const topic = 'bench-hot'
  await makeTopic(kafka, topic, 1)
  const all = HOT_WARM_UP_RECORDS + HOT_RECORDS
  await produce(kafka, { topic, count: all, bytes: 73 })
  const seconds: Record<'whole' | 'sliced', number[]> = { whole: [], sliced: [] }
  const limits = { maxRecordsPerBatch: HOT_RECORDS }
  for (let round = 0; round < rounds; round++) {
    for (const [name, split] of [
      ['whole', {}],
      ['sliced', { minTasks: 4 }],
    ] as const) {
      const job = { brokers: kafka.brokers, topic, limits: { ...limits, ...split } }
      const result = await count({ job, threads: 2, warmUpRows: HOT_WARM_UP_RECORDS }, all)
      seconds[name].push(result.ms / 1_000)
    }
  }
  recorded.hotPartition = seconds
  const ratio = median(seconds.whole.map((whole, round) => whole / (seconds.sliced[round] ?? Number.NaN)))
  return [
    {
      figure: `a hot partition of 2 M records on 2 threads: 4 slices (${median(seconds.sliced).toFixed(2)} s) against 1 (${median(seconds.whole).toFixed(2)} s)`,
      value: `${ratio.toFixed(2)} ×`,
      bar: '1.5 ×',
      met: ratio >= 1.5,
    },
  ]
}

async function benchOverhead({ say, recorded }: Bench): Promise<BenchRow[]> {
  await using redis = await startRedis({ own: true })
  const url = redis.address
  const rows: BenchRow[] = []
  const measure = async (executor: ExecutorKind, ranges: number, batches: number, barMs: number) => {
    const { ms } = await runChild<OverheadResult>('executors/overhead.ts', [{ executor, ranges, batches } satisfies OverheadArguments])
    recorded[`overhead-${executor.kind}-${ranges}`] = ms
    const [p50, p99] = [0.5, 0.99].map(part => ms[Math.floor(ms.length * part)] ?? Number.NaN) as [number, number]
    say(`${ranges} ranges without work, ${executor.kind}: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
    rows.push({
      figure: `a batch of ${ranges.toLocaleString('en-US')} ranges without work, ${executor.kind}: p50`,
      value: `${p50.toFixed(1)} ms`,
      bar: `${barMs} ms`,
      met: p50 <= barMs,
    })
  }
  await measure({ kind: 'in-process' }, 100, 500, 2)
  await measure({ kind: 'threads', size: 2 }, 100, 500, 5)
  {
    await using _one = new ExecutorProcess('noop-job.ts', url, 1)
    await using _two = new ExecutorProcess('noop-job.ts', url, 1)
    await measure({ kind: 'bullmq', url }, 100, 300, 30)
    await measure({ kind: 'bullmq', url }, 10_000, 40, 150)
  }
  rows.push(await benchKill(url, recorded))
  return rows
}

/** Twenty-four ranges of a quarter of a second each on two executors, of which one is killed in the midst of them. */
async function benchKill(url: string, recorded: Record<string, unknown>): Promise<BenchRow> {
  const afterKillMs: number[] = []
  for (let round = 0; round < 3; round++) {
    await using _survivor = new ExecutorProcess('noop-job.ts', url, 1)
    await using killed = new ExecutorProcess('noop-job.ts', url, 1)
    const executor = { kind: 'bullmq', url } as const
    const batches = 2
    let killedAt = 0
    const child = spawnChild<OverheadResult>('executors/overhead.ts', [
      { executor, ranges: 24, batches, topic: 'slow' } satisfies OverheadArguments,
    ])
    let dispatched = 0
    child.process.stderr?.on('data', text => {
      dispatched += String(text).split('dispatching').length - 1
      if (dispatched < batches || killedAt > 0) return
      killedAt = Number.POSITIVE_INFINITY
      setTimeout(() => {
        killedAt = performance.now()
        killed.kill()
      }, 300)
    })
    await child.result
    afterKillMs.push(performance.now() - killedAt)
  }
  recorded.afterKillMs = afterKillMs
  const worst = Math.max(...afterKillMs)
  return {
    figure: 'a batch is finished after kill -9 of one of two executors, worst of 3',
    value: `${(worst / 1_000).toFixed(1)} s`,
    bar: '5 s',
    met: worst <= 5_000,
  }
}

async function count(args: CountArguments, expected: number): Promise<CountResult> {
  const result = await runChild<CountResult>('executors/count.ts', [args])
  if (result.wholeRows !== expected) throw new Error(`Counted ${result.wholeRows} rows of ${expected}.`)
  return result
}

function rateOf({ rows, ms }: CountResult): number {
  return rows / ms / 1_000
}
