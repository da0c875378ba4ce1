import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import type { Lease, OffsetStore } from '../../../src/core/offset-store.ts'
import type { OffsetRange, PartitionOffset } from '../../../src/core/values.ts'
import { findRewind } from '../../../src/driver/surgery-rewind.ts'

const at = (partition: number, offset: number, topicId = 'a'): PartitionOffset => ({ topic: 'orders', partition, offset, topicId })
const range = (partition: number, fromOffset: number, untilOffset: number, topicId = 'a'): OffsetRange => ({
  ...{ topic: 'orders', partition, fromOffset, untilOffset, topicId },
})

/** A stream with a store of its own, so that its history is what a store writes. */
async function started(
  ...offsets: PartitionOffset[]
): Promise<{ store: OffsetStore; lease: Lease; run: (...ranges: OffsetRange[]) => Promise<void> }> {
  const store = memoryOffsets()
  const lease = await store.acquire('orders', 'test', 60_000)
  await store.reset(lease, offsets, { reason: 'start' })
  return {
    store,
    lease,
    async run(...ranges) {
      const id = (await store.read('orders')).lastBatchId + 1
      await store.begin(lease, { id, batchTime: id, epoch: 1, ranges })
      await store.commit(lease, id)
    },
  }
}

async function rewound(store: OffsetStore, count: number) {
  const { positions, batchIds } = await findRewind(store.history('orders'), (await store.read('orders')).offsets, count)
  return { batchIds, positions: positions.map(({ partition, offset }) => [partition, offset]) }
}

describe('a rewind', () => {
  test('goes to where the stream stood before its newest batches, a partition at a time', async () => {
    const { store, run } = await started(at(0, 5), at(1, 0))
    await run(range(0, 5, 10), range(1, 0, 10))
    await run(range(1, 10, 20), range(1, 20, 30))
    await run(range(0, 10, 12))
    expect(await rewound(store, 1)).toEqual({ batchIds: [3], positions: [[0, 10]] })
    expect(await rewound(store, 2)).toEqual({
      batchIds: [3, 2],
      positions: [
        [0, 10],
        [1, 10],
      ],
    })
    expect(await rewound(store, 3)).toEqual({
      batchIds: [3, 2, 1],
      positions: [
        [0, 5],
        [1, 0],
      ],
    })
  })

  test('after a rewind goes on backwards, for batches that were taken back do not count', async () => {
    const { store, lease, run } = await started(at(0, 0))
    for (const from of [0, 10, 20, 30]) await run(range(0, from, from + 10))
    await store.reset(lease, [at(0, 20)])
    expect(await rewound(store, 1)).toEqual({ batchIds: [2], positions: [[0, 10]] })
    await run(range(0, 20, 25))
    expect(await rewound(store, 1)).toEqual({ batchIds: [5], positions: [[0, 20]] })
    expect(await rewound(store, 2)).toEqual({ batchIds: [5, 2], positions: [[0, 10]] })
  })

  test('takes a skip back with the batch before it', async () => {
    const { store, lease, run } = await started(at(0, 0))
    await run(range(0, 0, 10))
    await store.reset(lease, [at(0, 500)])
    expect(await rewound(store, 1)).toEqual({ batchIds: [1], positions: [[0, 0]] })
  })

  test('passes over what an earlier log of the topic held, and over discarded batches', async () => {
    const { store, lease, run } = await started(at(0, 0))
    await run(range(0, 0, 10))
    await store.reset(lease, [at(0, 0, 'b')], { reason: 'recreated' })
    await run(range(0, 0, 7, 'b'))
    await store.begin(lease, { id: 3, batchTime: 3, epoch: 1, ranges: [range(0, 7, 9, 'b')] })
    await store.reset(lease, [], { discard: true })
    expect(await rewound(store, 1)).toEqual({ batchIds: [2], positions: [[0, 0]] })
    await expect(rewound(store, 2)).rejects.toThrow('cannot be rewound by 2: its history has only 1 batch to take back')
  })

  test('of a stream that has run nothing is refused', async () => {
    const { store } = await started(at(0, 0))
    await expect(rewound(store, 1)).rejects.toThrow('its history has no batch to take back')
  })

  test('never puts a partition forward, whatever was done to the stream before', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('run' as const), partition: fc.nat(2), length: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ kind: fc.constant('reset' as const), partition: fc.nat(2), offset: fc.nat(100) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.integer({ min: 1, max: 5 }), async (steps, count) => {
        const { store, lease, run } = await started(at(0, 0), at(1, 0), at(2, 0))
        for (const step of steps) {
          const from = (await store.read('orders')).offsets.find(({ partition }) => partition === step.partition)?.offset ?? 0
          if (step.kind === 'run') await run(range(step.partition, from, from + step.length))
          else await store.reset(lease, [at(step.partition, step.offset)])
        }
        const { offsets } = await store.read('orders')
        const found = await findRewind(store.history('orders'), offsets, count).catch(() => undefined)
        for (const position of found?.positions ?? []) {
          expect(position.offset).toBeLessThan(offsets.find(({ partition }) => partition === position.partition)?.offset ?? 0)
        }
      }),
    )
  })
})
