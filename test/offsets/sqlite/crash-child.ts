// Runs until it is killed: takes the stream over, finishes the begun batch, and goes on. Says each step once it is durable.
import { writeSync } from 'node:fs'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { plannedBatch } from './planned-batch.ts'

const store = sqliteOffsets({ path: process.argv[2] ?? '' })
const lease = await store.acquire('orders', `child-${process.pid}`, 60_000, { steal: true })
const { lastBatchId, pending } = await store.read('orders')
if (pending !== undefined) await store.commit(lease, pending.id)
for (let id = pending?.id ?? lastBatchId; ; ) {
  id += 1
  await store.begin(lease, plannedBatch(id))
  writeSync(1, `begun ${id}\n`)
  await store.commit(lease, id)
  writeSync(1, `committed ${id}\n`)
}
