import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { writeJob } from './write-job.ts'

/** When the first record was written; one comes each minute. */
const FIRST_RECORD_AT = Date.UTC(2021, 10, 1)

/**
 * A job over a log in memory, the same at each start: topic `orders`, 3 partitions of 100 records, read 90 a batch into files and to the console.
 * `POISON` is an offset that the console's rows fail on, `FROM` where the logs begin, and `OUTPUTS` which outputs the job has. Gives its folder.
 */
export function surgeryJob(): string {
  const folder = temporaryFolder()
  writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { consoleSink } from 'tidemark/console'
import { jsonlSink } from 'tidemark/files'
import { memorySource } from 'tidemark/testing'

const { POISON, FROM = '0', OUTPUTS = 'files,console' } = process.env
const source = memorySource({ topics: { orders: 3 } })
for (let id = 0; id < 300; id++) {
  source.append('orders', id % 3, { value: JSON.stringify({ id }), timestamp: ${FIRST_RECORD_AT} + id * 60_000 })
}
for (const partition of [0, 1, 2]) source.deleteBefore('orders', partition, Number(FROM))

const job = stream({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 90 } })
const rows = job.from(source).map(({ partition, offset, value }) => ({ partition, offset, id: JSON.parse(String(value)).id }))
if (OUTPUTS.includes('files')) rows.to(jsonlSink({ directory: 'out' }), { name: 'files' })
if (OUTPUTS.includes('console')) {
  rows
    .map(row => {
      if (row.offset === Number(POISON)) throw new Error('poison')
      return row
    })
    .to(consoleSink(), { name: 'console' })
}
export default job
`,
  )
  return folder
}
