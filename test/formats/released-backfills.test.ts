import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { type StreamSnapshot, stream } from '../../src/index.ts'
import { collectingSink, memorySource } from '../../src/testing/index.ts'

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'formats', 'backfill-v1.json')
const BEGINS_AT = Date.UTC(2026, 10, 1, 0, 10)
const ENDS_AT = Date.UTC(2026, 10, 1, 0, 50)

describe('a backfill that version 1 settled and left with a batch begun', () => {
  test('is found by what it was asked, and goes on to its own ends: its batch first, with the timestamps that counted', async () => {
    const snapshot: StreamSnapshot = JSON.parse(readFileSync(FIXTURE, 'utf8'))
    const store = memoryOffsets()
    await store.restore(snapshot)
    const source = memorySource({ topics: { orders: 2 } })
    // The log has grown far beyond where it ended then; record 16 is of another day.
    for (let id = 0; id < 60; id++) source.append('orders', 0, { value: `${id}`, timestamp: id === 16 ? 0 : BEGINS_AT + id * 1_000 })
    for (let id = 0; id < 30; id++) source.append('orders', 1, { value: `other ${id}`, timestamp: BEGINS_AT })
    const sink = collectingSink<string>({})
    const job = stream({ name: 'orders', offsets: store, log: silentLog })
      .from(source)
      .map(record => String(record.value))
      .to(sink, { name: 'rows' })

    const at = (timestamp: number) => ({ at: 'timestamp', timestamp }) as const
    // The sink is new, and the batch before is in another.
    const run = await job.backfill({ from: at(BEGINS_AT), to: at(ENDS_AT), exactTime: true, adopt: ['rows'] })
    expect(run.plan).toMatchObject({ name: 'orders~backfill-1', isResumed: true, isComplete: false, offsets: 15, left: 10 })
    expect(await run.done).toMatchObject({ reason: 'done', records: 10, outsideTime: 1 })
    expect(sink.rows).toEqual(['15', '17', ...Array.from({ length: 7 }, (_, at) => String(18 + at))])
    expect(sink.collected[0]?.task.batchId).toBe(2)
    expect((await store.read('orders~backfill-1')).offsets.map(({ offset }) => offset)).toEqual([25, 7])
  })
})
