import { describe, expect, test } from 'vitest'
import type { OffsetRange } from '../../../../src/core/values.ts'
import { openScriptedSession } from './open-scripted-session.ts'

const never = new AbortController().signal
const at = { topic: 'orders', partition: 0 }

function slice(fromOffset: number, untilOffset: number, partition = 0): OffsetRange {
  return { topic: 'orders', partition, leaderEpoch: 0, fromOffset, untilOffset }
}

describe('slices of one partition', () => {
  test('that were handed over together have each its own records, since a request names a partition once', async () => {
    await using opened = await openScriptedSession([
      { records: 100, perBatch: 5 },
      { records: 100, perBatch: 5 },
    ])
    const slices = [0, 1].flatMap(partition => [0, 20, 40, 60, 80].map(from => slice(from, from + 20, partition)))
    opened.session.shared.prefetch(slices, 'read_committed', never)
    const read = await Promise.all(slices.map(range => opened.read(range)))
    expect(read.map(records => records.map(({ partition, offset }) => `${partition}:${offset}`))).toEqual(
      slices.map(({ partition, fromOffset }) => Array.from({ length: 20 }, (_, place) => `${partition}:${fromOffset + place}`)),
    )
    const named = opened.cluster.broker
      .asked('Fetch')
      .map(({ request }) => request.topics.flatMap(({ partitions }) => partitions.map(({ partition }) => partition)))
    for (const partitions of named) expect(new Set(partitions).size).toBe(partitions.length)
    // The first of each partition came together.
    expect(named).toContainEqual([0, 1])
    expect(opened.session.budget.used).toBe(0)
  })

  test('that begin inside of a batch do not make its offsets seem heavier than they are', async () => {
    await using opened = await openScriptedSession([{ records: 4_000, perBatch: 1_000, valueBytes: 100 }], { fetchMaxBytes: 65_536 })
    const [batch] = opened.cluster.partition('orders', 0).batches
    // The batch comes whole for ten of its records.
    expect((await opened.read(slice(990, 1_000))).map(({ offset }) => offset)).toEqual([990, 991, 992, 993, 994, 995, 996, 997, 998, 999])
    const estimate = opened.session.sizes.estimate(at, 1_000) ?? Number.NaN
    const own = batch?.bytes.length ?? Number.NaN
    expect(estimate).toBeGreaterThanOrEqual(own)
    expect(estimate).toBeLessThan(1.5 * own)
  })
})
