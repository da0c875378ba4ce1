import { isMainThread } from 'node:worker_threads'
import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { memoryOffsets } from 'tidemark/offsets/memory'
import { memorySource } from 'tidemark/testing'

/** A batch's rows as `forEachBatch` gave them, in the thread of the driver. */
export const gathered: unknown[] = []

if (!isMainThread) console.log('a thread says hello')

const source = memorySource({ topics: { t: 6 } })
for (let partition = 0; partition < 6; partition++) {
  for (let at = 0; at < 50; at++) {
    source.append('t', partition, {
      key: `k${at}`,
      value: `v${partition}-${at}`,
      timestamp: 1_000 + at,
      headers: [['h', Buffer.from('x')]],
    })
  }
}

const flow = stream({
  name: 'rows',
  offsets: memoryOffsets(),
  limits: { maxRecordsPerTask: 20, maxRecordsPerBatch: 100 },
}).from(source)
flow
  .map(record => ({ record, at: new Date(record.timestamp), tags: new Map([['p', BigInt(record.partition)]]), bytes: record.value }))
  .forEachBatch((rows, batch) => void gathered.push({ id: batch.id, rows }))
export default flow
  .filter(({ offset }) => offset % 7 !== 0)
  .map(({ partition, offset, value }) => ({ partition, offset, value: String(value) }))
  .to(jsonlSink({ directory: process.env.TIDEMARK_TEST_FOLDER ?? 'nowhere' }))
