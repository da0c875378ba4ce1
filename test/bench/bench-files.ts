import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listFiles } from '../../connectors/files/index.ts'
import type { KafkaAddress } from '../support/cluster/kafka-cluster.ts'
import { duckdb, sqlList } from '../support/duckdb.ts'
import { produce } from '../support/produce.ts'
import type { Bench, BenchRow } from './report.ts'
import { median } from './report.ts'
import { runChild } from './run-child.ts'
import { makeTopic } from './topics.ts'

const TOPIC = 'bench-to-parquet'
const RECORDS = 5_000_000
/** A few files of all 5 M records. */
const ROLL_BYTES = 32 << 20

type Result = {
  readonly ms: number
  /** Of the process, and of the thread that parses and encodes. */
  readonly cpuMs: number
  readonly threadMs: number
  readonly records: number
  readonly batches: number
  readonly peakRssMiB: number
}

/** Kafka → Parquet, whole streams: a file a range, and rolled across batches. DuckDB says whether each record is there once. */
export async function benchFiles(kafka: KafkaAddress, { rounds, say, recorded }: Bench): Promise<BenchRow[]> {
  await makeTopic(kafka, TOPIC)
  await produce(kafka, { topic: TOPIC, count: RECORDS, bytes: 73 })
  const results: Record<'ranges' | 'rolled', Result[]> = { ranges: [], rolled: [] }
  for (let round = 0; round < rounds; round++) {
    results.ranges.push(await fill(null))
    results.rolled.push(await fill(ROLL_BYTES))
  }
  recorded.files = results
  const rate = (all: readonly Result[]) => median(all.map(({ ms }) => RECORDS / ms / 1000))
  const peak = Math.max(...Object.values(results).flatMap(all => all.map(({ peakRssMiB }) => peakRssMiB)))
  say(`Kafka → Parquet, M records/s: a file a range ${rate(results.ranges).toFixed(2)}, rolled ${rate(results.rolled).toFixed(2)}`)
  const row = (figure: string, value: number): BenchRow => ({
    figure,
    value: `${value.toFixed(2)} M records/s`,
    bar: '0.8 M records/s',
    met: value >= 0.8,
  })
  return [
    row('Kafka → Parquet, 5 M JSON records of 73 bytes into 4 typed columns, whole stream', rate(results.ranges)),
    row(`the same, rolled into files of 32 MiB (peak memory of both ${peak.toFixed(0)} MiB)`, rate(results.rolled)),
  ]

  /** Fills an empty directory and sees that each record is in it once; only the filling counts. */
  async function fill(rollBytes: number | null): Promise<Result> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-'))
    try {
      const result = await runChild<Result>('to-files/tidemark.ts', [kafka.brokers, TOPIC, folder, rollBytes])
      const files = await listFiles(join(folder, 'rows'))
      const from = `read_parquet(${sqlList(files.map(({ path }) => path))})`
      const [counted] = await duckdb(
        `select count(*)::double as rows, count(distinct id)::double as different, count("user")::double as users from ${from}`,
      )
      if (counted?.rows !== RECORDS || counted.different !== RECORDS || counted.users !== RECORDS)
        throw new Error(`${files.length} files have ${counted?.rows} rows, ${counted?.different} different ones, of ${RECORDS}.`)
      return result
    } finally {
      await rm(folder, { recursive: true })
    }
  }
}
