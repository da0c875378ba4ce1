import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import { comparePartitions, type TopicPartition } from '../../src/core/values.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'

/** Where a record was and what was in it. */
export type Place = TopicPartition & { readonly offset: number; readonly crc: number }

const oracle = fileURLToPath(new URL('../support/oracle.ts', import.meta.url))

/**
 * Writes the job `orders.ts` into `folder`: every record's {@link Place} into files in `out`, as output `rows`. `HANG_AT` is an offset of partition 0 at
 * which it waits for ever.
 */
export function writePlacesJob(
  folder: string,
  topic: string,
  { batch = 100, options = '' }: { readonly batch?: number; readonly options?: string } = {},
): void {
  writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource } from 'tidemark/kafka'
import { recordCrc } from '${oracle}'
export default stream({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: ${batch} }, ${options} })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['${topic}'] }))
  .map(async record => {
    if (record.partition === 0 && record.offset === Number(process.env.HANG_AT)) await new Promise(() => setInterval(() => {}, 60_000))
    return { topic: record.topic, partition: record.partition, offset: record.offset, crc: recordCrc(record) }
  })
  .to(jsonlSink({ directory: 'out' }), { name: 'rows' })
`,
  )
}

/** Every row of the files in `folder`, in the order of the log: twice where it is there twice. */
export async function placesIn(folder: string, keep: (file: { readonly batchId: number }) => boolean = () => true): Promise<Place[]> {
  const rows: Place[] = []
  for (const file of (await listJsonlFiles(folder)).filter(keep)) {
    rows.push(
      ...(await readFile(file.path, 'utf8'))
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line)),
    )
  }
  return rows.sort((a, b) => comparePartitions(a, b) || a.offset - b.offset)
}

/** Where the files of `folder` lie that {@link writePlacesJob} writes. */
export function outOf(folder: string): string {
  return join(folder, 'out')
}

/** What the official Java client reads of the topic under read_committed. */
export async function placesByJava(topic: string): Promise<Place[]> {
  const records = await readAll(kafkaCluster(), topic, 'read_committed')
  return records.map(({ partition, offset, crc }) => ({ topic, partition, offset, crc }))
}
