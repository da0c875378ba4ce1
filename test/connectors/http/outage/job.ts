// A job whose rows go to the endpoint at TIDEMARK_TEST_URL, which is waited for as soon as it fails once.
import { stream } from 'tidemark'
import { httpSink } from 'tidemark/http'
import { memoryOffsets } from 'tidemark/offsets/memory'
import { memorySource } from 'tidemark/testing'
import { PARTITIONS, RECORDS } from './rows.ts'

const source = memorySource({ topics: { orders: PARTITIONS } })
for (let partition = 0; partition < PARTITIONS; partition++) {
  for (let at = 0; at < RECORDS; at++) source.append('orders', partition, { value: `${partition}:${at}` })
}

export default stream({
  name: 'outage',
  offsets: memoryOffsets(),
  batchIntervalMs: 0,
  // Two batches, and no patience at all: what is waited out does not use it.
  limits: { maxRecordsPerBatch: 60 },
  retry: { forMs: 1 },
})
  .from(source)
  .map(({ value }) => String(value))
  .to(
    httpSink({
      url: process.env.TIDEMARK_TEST_URL ?? 'http://localhost:9',
      maxRowsPerRequest: 10,
      honoursKeys: true,
      breakAfter: 1,
      probeEveryMs: 20,
    }),
  )
