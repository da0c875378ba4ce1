import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FetchPartition } from '../../../../connectors/kafka/protocol/fetch.ts'
import type { ReadOptions } from '../../../../src/core/source.ts'
import type { OffsetRange } from '../../../../src/core/values.ts'
import { Slots } from '../../../../src/util/slots.ts'
import { scriptedValue } from '../../../support/scripted-broker.ts'
import { openScriptedSession, type ScriptedSession } from './open-scripted-session.ts'

const NOT_LEADER_OR_FOLLOWER = 6
const never = new AbortController().signal

function rangeOf(partition: number, untilOffset = 20, fromOffset = 0): OffsetRange {
  return { topic: 'orders', partition, fromOffset, untilOffset, leaderEpoch: 0 }
}

const small = (count: number) => Array.from({ length: count }, () => ({ records: 20, perBatch: 10 }))
const rangesOf = (count: number, untilOffset?: number) => Array.from({ length: count }, (_, partition) => rangeOf(partition, untilOffset))
const offsetsOf = ({ fromOffset, untilOffset }: OffsetRange) => Array.from({ length: untilOffset - fromOffset }, (_, at) => fromOffset + at)

/** Reads ranges as an executor does, so many at a time, and holds what came against the log. */
async function readAll({ read }: ScriptedSession, ranges: readonly OffsetRange[], concurrency = 4, options: ReadOptions = {}) {
  const slots = new Slots(concurrency)
  await Promise.all(
    ranges.map(range =>
      slots.use(async () => {
        const records = await read(range, options)
        expect(records.map(({ offset }) => offset)).toEqual(offsetsOf(range))
        expect(records.every(({ partition }) => partition === range.partition)).toBe(true)
      }),
    ),
  )
}

/** Which partitions each fetch asked for. */
function fetched({ cluster }: ScriptedSession): number[][] {
  return cluster.brokers.flatMap(broker =>
    broker.asked('Fetch').map(({ request }) => request.topics.flatMap(topic => topic.partitions.map(({ partition }) => partition))),
  )
}

/** Has one shared fetch answered with a partition's answer changed; undefined leaves it out. */
function changeShared(
  { cluster }: ScriptedSession,
  partition: number,
  change: (answer: FetchPartition) => FetchPartition | undefined,
): void {
  cluster.broker.script('Fetch', ({ request }, respond) => {
    const response = respond()
    if ((request.topics[0]?.partitions.length ?? 0) < 2) return response
    const changed = (answer: FetchPartition) => (answer.partitionIndex === partition ? change(answer) : answer)
    const responses = response.responses.map(topic => ({
      ...topic,
      partitions: topic.partitions.flatMap(answer => changed(answer) ?? []),
    }))
    return { ...response, responses }
  })
}

describe('ranges that were handed over', () => {
  test('of two brokers come by a few requests and over few connections, a thousand of them', async () => {
    const partitions = Array.from({ length: 1_000 }, (_, at) => ({ records: 100, perBatch: 50, leaderId: 1 + (at % 2) }))
    await using opened = await openScriptedSession(partitions, { brokers: 2 })
    const ranges = rangesOf(1_000, 100)
    opened.session.shared.prefetch(ranges, 'read_committed', never)
    await readAll(opened, ranges)
    for (const broker of opened.cluster.brokers) {
      expect(broker.asked('Fetch').length).toBeLessThanOrEqual(10)
      expect(broker.connections.ever).toBeLessThanOrEqual(8)
    }
    expect(fetched(opened).flat().length).toBe(1_000)
    expect(opened.session.budget.used).toBe(0)
  })

  test('are read by themselves where they weigh much, have no leader, or were planned under another', async () => {
    await using opened = await openScriptedSession(small(5))
    opened.cluster.partition('orders', 3).leaderEpoch = 7
    await opened.session.metadata.refresh(never)
    const large = { ...rangeOf(2, 100_000), topic: 'orders' }
    opened.session.shared.prefetch([rangeOf(0), rangeOf(1), large, rangeOf(3)], 'read_committed', never)
    await opened.cluster.broker.waitFor('Fetch')
    await readAll(opened, [rangeOf(0), rangeOf(1), rangeOf(3)])
    expect(fetched(opened)).toEqual([[0, 1], [3]])
    expect(opened.cluster.broker.asked('OffsetForLeaderEpoch').length).toBe(1)
    expect(opened.session.budget.used).toBe(0)
  })

  test('and are asked for twice are read once from what was fetched', async () => {
    await using opened = await openScriptedSession(small(2))
    opened.session.shared.prefetch(rangesOf(2), 'read_committed', never)
    opened.session.shared.prefetch(rangesOf(2), 'read_committed', never)
    await readAll(opened, [...rangesOf(2), ...rangesOf(2)])
    expect(fetched(opened).sort((a, b) => b.length - a.length)).toEqual([[0, 1], [0], [1]])
    expect(opened.session.budget.used).toBe(0)
  })

  test('under another isolation are others', async () => {
    await using opened = await openScriptedSession(small(2))
    opened.session.shared.prefetch(rangesOf(2), 'read_uncommitted', never)
    await readAll(opened, rangesOf(2), 1, { isolation: 'read_committed' })
    expect(opened.cluster.broker.asked('Fetch').map(({ request }) => request.isolationLevel)).toEqual([0, 1, 1])
  })
})

describe('in an answer that is shared', () => {
  test.for<[string, (answer: FetchPartition) => FetchPartition | undefined]>([
    ['an error', answer => ({ ...answer, errorCode: NOT_LEADER_OR_FOLLOWER, records: Buffer.alloc(0) })],
    ['nothing', answer => ({ ...answer, records: Buffer.alloc(0) })],
    ['no word at all', () => undefined],
    ['half a batch', answer => ({ ...answer, records: answer.records.subarray(0, 100) })],
    ['one batch and a half', answer => ({ ...answer, records: answer.records.subarray(0, answer.records.length - 10) })],
    ['a batch of a length that cannot be', answer => ({ ...answer, records: withLength(answer.records, 0x7fffffff) })],
    ['a diverging epoch', answer => ({ ...answer, divergingEpoch: { epoch: 0, endOffset: 1 }, records: Buffer.alloc(0) })],
  ])('%s for a partition leaves that one to its own fetch', async ([, change]) => {
    await using opened = await openScriptedSession(small(4))
    changeShared(opened, 2, change)
    opened.session.shared.prefetch(rangesOf(4), 'read_committed', never)
    await readAll(opened, rangesOf(4))
    expect(fetched(opened)).toEqual([[0, 1, 2, 3], [2]])
    expect(opened.session.budget.used).toBe(0)
  })

  test('each partition has the aborted transactions of its own', async () => {
    const transaction = (producerId: bigint, records: number) => ({
      batches: [
        { records: [{ offset: 0 }, { offset: 1 }], producerId, isTransactional: true },
        { records: [{ offset: 2 }], producerId: 9n, isTransactional: true },
      ],
      highWatermark: records,
      lastStableOffset: records,
    })
    await using opened = await openScriptedSession([
      { ...transaction(5n, 3), aborted: [{ producerId: 5, firstOffset: 0 }] },
      { ...transaction(5n, 3), aborted: [{ producerId: 9, firstOffset: 2 }] },
      transaction(5n, 3),
    ])
    const ranges = rangesOf(3, 3)
    opened.session.shared.prefetch(ranges, 'read_committed', never)
    const offsets = await Promise.all(ranges.map(async range => (await opened.read(range)).map(({ offset }) => offset)))
    expect(offsets).toEqual([[2], [0, 1], [0, 1, 2]])
    expect(fetched(opened)).toEqual([[0, 1, 2]])
    expect(opened.session.budget.used).toBe(0)
  })

  test('a record keeps alive the bytes of its own partition and no others', async () => {
    await using opened = await openScriptedSession(small(50))
    opened.session.shared.prefetch(rangesOf(50), 'read_committed', never)
    const [first] = await opened.read(rangeOf(7))
    const own = opened.cluster.partition('orders', 7).batches.reduce((sum, { bytes }) => sum + bytes.length, 0)
    expect(first?.value).toEqual(scriptedValue(0))
    expect(first?.value?.buffer.byteLength).toBe(own)
  })
})

describe('a shared fetch that fails', () => {
  test('with its connection leaves every range to its own fetch', async () => {
    await using opened = await openScriptedSession(small(3))
    opened.cluster.broker.script('Fetch', ({ request }) => ((request.topics[0]?.partitions.length ?? 0) > 1 ? 'close' : undefined))
    opened.session.shared.prefetch(rangesOf(3), 'read_committed', never)
    await readAll(opened, rangesOf(3))
    expect(fetched(opened).map(asked => asked.length)).toEqual([3, 1, 1, 1])
    expect(opened.session.budget.used).toBe(0)
  })

  test('in the middle of its answer leaves every range to its own fetch, at once', async () => {
    await using opened = await openScriptedSession(small(3))
    opened.cluster.broker.script('Fetch', ({ request }, respond, frame) => {
      if ((request.topics[0]?.partitions.length ?? 0) < 2) return undefined
      const whole = frame(respond())
      return { bytes: whole.subarray(0, whole.length - 50), thenClose: true }
    })
    const startedAt = performance.now()
    opened.session.shared.prefetch(rangesOf(3), 'read_committed', never)
    await readAll(opened, rangesOf(3))
    expect(performance.now() - startedAt).toBeLessThan(2_000)
    expect(opened.session.budget.used).toBe(0)
  })

  test('to come ends with the read that waits for it, and its bytes with the batch', async () => {
    await using opened = await openScriptedSession(small(3))
    opened.cluster.broker.script('Fetch', () => 'nothing')
    const batch = new AbortController()
    opened.session.shared.prefetch(rangesOf(3), 'read_committed', batch.signal)
    const task = new AbortController()
    const reading = opened.read(rangeOf(0), { signal: task.signal })
    await opened.cluster.broker.waitFor('Fetch')
    task.abort(new Error('this task'))
    await expect(reading).rejects.toThrow('this task')
    expect(opened.session.budget.used).toBeGreaterThan(0)
    batch.abort(new Error('the batch'))
    await opened.cluster.broker.waitForNoConnections()
    expect(opened.session.budget.used).toBe(0)
  })
})

describe('what is held ahead', () => {
  test('is let go with the signal it was handed over with', async () => {
    await using opened = await openScriptedSession(small(6))
    const batch = new AbortController()
    opened.session.shared.prefetch(rangesOf(6), 'read_committed', batch.signal)
    await opened.read(rangeOf(0))
    expect(opened.session.budget.used).toBeGreaterThan(0)
    batch.abort(new Error('over'))
    expect(opened.session.budget.used).toBe(0)
  })

  test('is not let go because somebody else hands ranges over', async () => {
    await using opened = await openScriptedSession(small(6))
    opened.session.shared.prefetch(rangesOf(3), 'read_committed', never)
    opened.session.shared.prefetch(rangesOf(6).slice(3), 'read_committed', never)
    await readAll(opened, rangesOf(6))
    expect(fetched(opened).map(asked => asked.length)).toEqual([3, 3])
    expect(opened.session.budget.used).toBe(0)
  })

  test('is let go when the source is closed, on its way or here', async () => {
    await using here = await openScriptedSession(small(3))
    here.session.shared.prefetch(rangesOf(3), 'read_committed', here.session.closing)
    await here.read(rangeOf(0))
    here.session.close(new Error('closed'))
    expect(here.session.budget.used).toBe(0)

    await using underWay = await openScriptedSession(small(3))
    underWay.cluster.broker.script('Fetch', () => 'nothing')
    underWay.session.shared.prefetch(rangesOf(3), 'read_committed', underWay.session.closing)
    await underWay.cluster.broker.waitFor('Fetch')
    underWay.session.close(new Error('closed'))
    await underWay.cluster.broker.waitForNoConnections()
    expect(underWay.session.budget.used).toBe(0)
  })

  test('never stands in the way of a read that has begun, also where answers are larger than was thought', async () => {
    // A record of 60,000 bytes comes whole where 1,024 were asked for; a read that has begun wants half of the budget.
    const partitions = Array.from({ length: 12 }, () => ({ records: 2, perBatch: 1, valueBytes: 60_000 }))
    await using opened = await openScriptedSession([{ records: 2_000, perBatch: 500, valueBytes: 100 }, ...partitions], {
      maxBytesInFlight: 131_072,
    })
    const ranges = [rangeOf(0, 2_000), ...partitions.map((_, at) => rangeOf(at + 1, 2))]
    opened.session.shared.prefetch(ranges, 'read_committed', never)
    await readAll(opened, ranges, 1)
    expect(opened.session.budget.used).toBe(0)
  })
})

test('any ranges under any budget and any number of slots are read to their ends, and nothing stays held', async () => {
  const partition = fc.record({
    batches: fc.integer({ min: 1, max: 12 }),
    perBatch: fc.integer({ min: 1, max: 40 }),
    valueBytes: fc.constantFrom(10, 300, 5_000),
    leaderId: fc.integer({ min: 1, max: 2 }),
  })
  const given = {
    partitions: fc.array(partition, { minLength: 1, maxLength: 30 }),
    maxBytesInFlight: fc.constantFrom(1_024, 8_192, 65_536, 1_048_576),
    concurrency: fc.integer({ min: 1, max: 6 }),
    waves: fc.integer({ min: 1, max: 3 }),
  }
  await fc.assert(
    fc.asyncProperty(fc.record(given), async ({ partitions, maxBytesInFlight, concurrency, waves }) => {
      const scripts = partitions.map(({ batches, ...rest }) => ({ records: batches * rest.perBatch, ...rest }))
      await using opened = await openScriptedSession(scripts, { brokers: 2, maxBytesInFlight })
      const ranges = scripts.map(({ records }, at) => rangeOf(at, records))
      const perWave = Math.ceil(ranges.length / waves)
      for (let first = 0; first < ranges.length; first += perWave) {
        opened.session.shared.prefetch(ranges.slice(first, first + perWave), 'read_committed', never)
      }
      await readAll(opened, ranges, concurrency)
      expect(opened.session.budget.used).toBe(0)
    }),
    { numRuns: 40 },
  )
})

function withLength(records: Buffer, length: number): Buffer {
  const changed = Buffer.from(records)
  changed.writeInt32BE(length, 8)
  return changed
}
