import { expect, test } from 'vitest'
import { SqliteOffsetStore } from '../../../offsets/sqlite/sqlite-offset-store.ts'
import type { BatchInfo, StreamEvent } from '../../../src/core/events.ts'
import { silentLog } from '../../../src/core/log.ts'
import { Driver } from '../../../src/driver/driver.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { completeOptions } from '../../../src/streams/options.ts'
import { CollectingSink, ManualClock, MemorySource, seededRandom } from '../../../src/testing/index.ts'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'

const HOUR_MS = 3_600_000
const INTERVAL_MS = 1_000
const TTL_MS = 10_000

test.for([
  ['ahead', HOUR_MS],
  ['back', -HOUR_MS],
] as const)('a clock that jumps an hour %s leaves a run its rhythm, its lease and its delays', async ([, jumpMs]) => {
  const clock = new ManualClock()
  const store = new SqliteOffsetStore(`${temporaryFolder()}/offsets.db`, { clock })
  const source = new MemorySource({ topics: { t: 1 }, clock })
  const sink = new CollectingSink({})
  const batches: BatchInfo[] = []
  const events: StreamEvent[] = []
  const world = { clock, random: seededRandom(1) }
  const hear = (event: StreamEvent) => {
    events.push(event)
    if (event.type === 'batchCompleted') batches.push(event.batch)
  }
  const driver = new Driver(
    {
      stream: 'jumps',
      outputs: new Map([['out', { name: 'out', source, stages: [], sink }]]),
      batchFunctions: new Map(),
      sources: [{ name: 'memory', source, isolation: 'read_uncommitted', startingOffsets: { at: 'earliest' } }],
      demanded: undefined,
      hash: 'jumps',
      store,
      executor: inProcess({}, world),
      options: completeOptions({ name: 'jumps', batchIntervalMs: INTERVAL_MS, leaseTtlMs: TTL_MS }).driver(),
      listeners: [hear],
      log: silentLog,
      world,
    },
    {},
  )
  await driver.started
  /** Lets time pass in steps, with a record for every interval. */
  const pass = async (intervals: number) => {
    for (let interval = 0; interval < intervals; interval++) {
      source.append('t', 0, { value: 'x' })
      for (let step = 0; step < 10; step++) await clock.advance(INTERVAL_MS / 10)
    }
  }
  await pass(5)
  const before = batches.length
  clock.jump(jumpMs)
  // More than the lease lives, so that it was renewed by the clock that jumped.
  const intervals = (3 * TTL_MS) / INTERVAL_MS
  await pass(intervals)
  const after = batches.length - before
  expect(before).toBeGreaterThanOrEqual(4)
  expect(after).toBeGreaterThanOrEqual(intervals - 1)
  expect(after).toBeLessThanOrEqual(intervals + 1)

  const times = batches.map(({ batchTime }) => batchTime)
  expect(times).toEqual([...new Set(times)].sort((a, b) => a - b))
  for (const { totalDelay = -1 } of batches) {
    expect(totalDelay).toBeGreaterThanOrEqual(0)
    expect(totalDelay).toBeLessThan(2 * INTERVAL_MS)
  }
  await expect(store.acquire('jumps', 'another', TTL_MS)).rejects.toMatchObject({ code: 'LEASE_HELD' })
  expect(events.filter(({ type }) => type === 'batchFailed')).toEqual([])

  let hasEnded = false
  const ended = driver.stop().then(() => {
    hasEnded = true
  })
  while (!hasEnded) await clock.advance(100)
  await ended
  expect(await driver.done).toMatchObject({ reason: 'stopped' })
  expect(sink.rows.length).toBe(batches.reduce((sum, { numRecords = 0 }) => sum + numRecords, 0))
})
