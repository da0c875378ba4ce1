import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import type { StreamSnapshot } from '../../src/core/offset-store.ts'
import type { BackfillPlan } from '../../src/index.ts'
import { BackfillWorld } from '../src/driver/backfill/backfill-world.ts'

const PARTITIONS = [0, 1]

/** What happens to a live stream between its start and a backfill. */
type Step =
  | { readonly do: 'fill'; readonly count: number }
  | { readonly do: 'run' }
  /** By hand, to a place in the log: back, or forward over what has not been read. */
  | { readonly do: 'put'; readonly partition: number; readonly share: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('fill' as const), count: fc.integer({ min: 1, max: 25 }) }),
  fc.constant({ do: 'run' as const }),
  fc.record({
    do: fc.constant('put' as const),
    partition: fc.constantFrom(...PARTITIONS),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
)

/** Lives through the steps and gives every offset that the live stream has written, by partition. */
async function live(world: BackfillWorld, before: number, steps: readonly Step[]): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  await world.fill(before)
  await world.runLive()
  for (const one of steps) {
    if (one.do === 'fill') await world.fill(one.count)
    else if (one.do === 'run') await world.runLive()
    else {
      const end = (await world.source.latestOffsets()).find(({ partition }) => partition === one.partition)?.offset ?? 0
      const lease = await world.store.acquire('orders', 'by hand', 60_000)
      await world.store.reset(lease, [{ topic: 'orders', partition: one.partition, offset: Math.floor(end * one.share) }])
      await world.store.release(lease)
    }
  }
  const written = world.rowsOf('orders').map(row => row.split(':').map(Number) as [partition: number, offset: number])
  return new Map(PARTITIONS.map(partition => [partition, new Set(written.filter(([of]) => of === partition).map(([, offset]) => offset))]))
}

function committedOf({ overlaps }: BackfillPlan): number[] {
  const own = overlaps.find(({ stream }) => stream === 'orders')
  return PARTITIONS.map(partition => own?.partitions.find(at => at.partition === partition)?.committed ?? 0)
}

/** The history without its oldest batches, as a store trims it. */
function trim(snapshot: StreamSnapshot, share: number): StreamSnapshot {
  const batches = snapshot.history.filter(({ kind }) => kind === 'batch')
  const gone = new Set(batches.slice(0, Math.floor(batches.length * share)))
  return { ...snapshot, history: snapshot.history.filter(entry => !gone.has(entry as (typeof batches)[number])) }
}

const lives = fc.record({
  startsAt: fc.constantFrom('earliest' as const, 'latest' as const),
  before: fc.integer({ min: 0, max: 30 }),
  steps: fc.array(step, { maxLength: 10 }),
})

test('a plan counts exactly the offsets that the live stream has written, whatever was done to it by hand', async () => {
  await fc.assert(
    fc.asyncProperty(lives, async ({ startsAt, before, steps }) => {
      const world = new BackfillWorld({ startingOffsets: { at: startsAt } })
      const written = await live(world, before, steps)
      const plan = await world.plan({ from: 'earliest', to: 'latest' })
      expect(committedOf(plan)).toEqual(PARTITIONS.map(partition => written.get(partition)?.size))
    }),
    { numRuns: 150 },
  )
})

test('a backfill until the live stream has nothing in common with it, and all that is in front of it', async () => {
  await fc.assert(
    fc.asyncProperty(lives, async ({ startsAt, before, steps }) => {
      const world = new BackfillWorld({ startingOffsets: { at: startsAt } })
      const written = await live(world, before, steps)
      const positions = new Map((await world.store.read('orders')).offsets.map(({ partition, offset }) => [partition, offset]))
      const plan = await world.plan({ from: 'earliest', to: 'live' })
      expect(plan.overlaps).toEqual([])
      for (const { partition, fromOffset, untilOffset } of plan.ranges) {
        const lowest = Math.min(positions.get(partition) ?? 0, ...(written.get(partition) ?? []))
        expect([fromOffset, untilOffset]).toEqual([0, lowest])
      }
    }),
    { numRuns: 150 },
  )
})

test('of a history that is trimmed, a stream that nobody has put elsewhere is known as well as of a whole one', async () => {
  const untouched = lives.map(({ steps, ...rest }) => ({ ...rest, steps: steps.filter(({ do: what }) => what !== 'put') }))
  await fc.assert(
    fc.asyncProperty(untouched, fc.double({ min: 0, max: 1, noNaN: true }), async ({ startsAt, before, steps }, share) => {
      const world = new BackfillWorld({ startingOffsets: { at: startsAt } })
      const written = await live(world, before, steps)
      const store = memoryOffsets()
      await store.restore(trim(await world.store.snapshot('orders'), share))
      const trimmed = new BackfillWorld({ startingOffsets: { at: startsAt }, store })
      for (const { partition, offset } of await world.source.latestOffsets()) await trimmed.fill(offset, [partition])
      const plan = await trimmed.plan({ from: 'earliest', to: 'latest' })
      expect(committedOf(plan)).toEqual(PARTITIONS.map(partition => written.get(partition)?.size))
    }),
    { numRuns: 100 },
  )
})
