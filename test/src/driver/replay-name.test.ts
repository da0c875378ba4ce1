import { expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { DeadLetter } from '../../../src/core/dead-letters/dead-letter.ts'
import { silentLog } from '../../../src/core/log.ts'
import { findBatches, outputsOfBatches } from '../../../src/driver/replay-batches.ts'
import { nameReplay } from '../../../src/driver/replay-name.ts'
import { deadLetter, type StreamJob, stream } from '../../../src/index.ts'
import { collectingSink, memorySource } from '../../../src/testing/index.ts'

const signal = new AbortController().signal

/** A job over ten records in two batches, of which each has a bad one. */
function world() {
  const source = memorySource({ topics: { orders: 1 } })
  for (let id = 0; id < 10; id++) source.append('orders', 0, { value: String(id) })
  const store = memoryOffsets()
  const rows = collectingSink<number>()
  const letters = collectingSink<DeadLetter>()
  const job = (onRecordError: 'skip' | 'deadLetter'): StreamJob =>
    stream({
      ...{ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 5 }, retry: { forMs: 0 }, log: silentLog },
      onRecordError: onRecordError === 'skip' ? 'skip' : deadLetter(letters, { name: 'letters' }),
    })
      .from(source)
      .map(record => {
        const id = Number(record.value)
        if (id % 5 === 2) throw new Error('bad')
        return id
      })
      .to(rows, { name: 'rows' })
  return { store, rows, letters, job }
}

test('a replay with dead letters that was cut short is gone on with under its name: letters tell no replay from another', async () => {
  const { store, rows, letters, job } = world()
  await (await job('deadLetter').start({ until: 'latest' })).done
  const batches = await findBatches(store, 'orders', [1, 2], signal)
  const of = { batches, outputs: ['rows'], letters: 'letters' }
  const before = rows.rows.length
  rows.failNext(new Error('the disk is full'), { batchId: 2 })
  const cut = await job('deadLetter').start({ name: 'orders~replay-1', batches, outputs: ['rows'] })
  await expect(cut.done).rejects.toThrow('the disk is full')

  const found = await nameReplay(store, 'orders', of, { isDryRun: false, signal })
  expect(found).toEqual({ name: 'orders~replay-1', done: 1, isResumed: true })
  await (await job('deadLetter').start({ name: found.name, batches, outputs: ['rows'] })).done
  expect(rows.rows.slice(before)).toEqual([0, 1, 3, 4, 5, 6, 8, 9])
  expect(letters.rows.map(({ stream, record_offset }) => `${stream} ${record_offset}`).sort()).toEqual([
    'orders 2',
    'orders 7',
    'orders~replay-1 2',
    'orders~replay-1 7',
  ])
})

test('batches from before and since a job puts records aside went to the same outputs', async () => {
  const { store, job } = world()
  await (await job('skip').start({ until: { at: 'exact', offsets: [{ topic: 'orders', partition: 0, offset: 5 }] } })).done
  await (await job('deadLetter').start({ until: 'latest' })).done
  const batches = await findBatches(store, 'orders', [1, 2], signal)
  expect(outputsOfBatches(batches, { stream: 'orders', has: () => true, letters: 'letters' })).toEqual(['rows'])
})
