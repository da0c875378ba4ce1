import assert from 'node:assert/strict'
import { acquireWhenFree, batch, type DefineTest, historyOf, LONG_MS, range, refused, run, uniqueName } from './contract.ts'

const HOUR_MS = 3_600_000

/** Calls with a clock of this machine that is off by `skewMs`, however it is read. */
async function withClockOff<T>(skewMs: number, call: () => Promise<T>): Promise<T> {
  const TrueDate = globalThis.Date
  const skewed = new Proxy(TrueDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [TrueDate.now() + skewMs] : args, newTarget),
    get: (target, key, receiver) => (key === 'now' ? () => TrueDate.now() + skewMs : Reflect.get(target, key, receiver)),
  })
  globalThis.Date = skewed
  try {
    return await call()
  } finally {
    globalThis.Date = TrueDate
  }
}

/**
 * Machines whose clocks disagree, for stores where only the server's counts.
 *
 * The sequence: a driver's clock is an hour ahead, or it compares the time of a lease with its own. It takes the lease of a driver that is alive and
 * well, which takes it back, and neither gets anything done; or it finds one that ended an hour ago still alive, and the stream stands still.
 */
export function defineClockTests(test: DefineTest): void {
  for (const [skewMs, how] of [
    [HOUR_MS, 'ahead'],
    [-HOUR_MS, 'behind'],
  ] as const) {
    test(`a client whose clock is an hour ${how} is kept away by a lease that lives`, async ({ store, other, stream }) => {
      const lease = await store.acquire(stream, 'first', LONG_MS)
      await withClockOff(skewMs, () => refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD'))
      await store.renew(lease)
      await withClockOff(skewMs, () => refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD'))
      await run(store, lease, batch(1, [range(0, 0, 10)]))
    })

    test(`a lease of a client whose clock is an hour ${how} lives as long as any`, async ({ store, other, stream, ttlMs }) => {
      const lease = await withClockOff(skewMs, () => store.acquire(stream, 'first', LONG_MS))
      await refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD')
      await withClockOff(skewMs, () => store.renew(lease))
      await refused(other.acquire(stream, 'second', LONG_MS), 'LEASE_HELD')

      const short = uniqueName('short')
      await withClockOff(skewMs, () => store.acquire(short, 'first', ttlMs))
      assert.equal((await acquireWhenFree(other, short, 'second', LONG_MS)).epoch, 2)
    })

    test(`the history has the server's time, also of a client whose clock is an hour ${how}`, async ({ store, other, stream }) => {
      const lease = await store.acquire(stream, 'first', LONG_MS)
      await run(store, lease, batch(1, [range(0, 0, 10)]))
      await withClockOff(skewMs, () => run(store, lease, batch(2, [range(0, 10, 20)])))
      await run(store, lease, batch(3, [range(0, 20, 30)]))
      const [newest, skewed, oldest] = (await historyOf(other, stream)).map(({ at }) => at)
      assert.ok(newest !== undefined && skewed !== undefined && oldest !== undefined)
      assert.ok(oldest <= skewed && skewed <= newest, `${oldest}, ${skewed}, ${newest}`)
    })
  }
}
