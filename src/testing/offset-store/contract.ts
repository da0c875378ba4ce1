import assert from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { type ErrorCode, isRetryable, isTidemarkError, type TidemarkError } from '../../core/errors.ts'
import type { HistoryEntry, HistoryOptions, Lease, OffsetStore } from '../../core/offset-store.ts'
import { systemRandom } from '../../core/random.ts'
import type { Batch, OffsetRange, PartitionOffset } from '../../core/values.ts'

/** The faults that the contract can try. */
export type StoreFault = 'cut' | 'loseNextAnswer' | 'restart'

/** How to make the faults between a store's clients and its server. A fault that is not declared may be left out. */
export type StoreFaults = {
  /** Closes every connection of the store's clients, in the middle of whatever is under way. They may connect again at once. */
  cut?(): Promise<void>
  /**
   * Of the requests that the clients send from now on, the first `skip` are answered. The next one reaches the server, its answer never arrives, and
   * its connection is closed once the server has answered. `disarm` ends the watch and says whether an answer was lost.
   */
  loseNextAnswer?(skip?: number): Promise<{ disarm(): boolean }>
  /** Ends the server as `kill -9` does and starts it again on its address and its data. Resolves when it answers. */
  restart?(): Promise<void>
}

/** What a test of the contract is given: two clients of the same data (which may be one and the same), and a name no other test uses. */
export type ContractWorld = {
  readonly store: OffsetStore
  readonly other: OffsetStore
  readonly another: () => Promise<OffsetStore>
  readonly stream: string
  /** A short lease, for tests that wait for its end. */
  readonly ttlMs: number
  /** What {@link OpenedOffsetStore} has, each checked to be there. */
  readonly faults: Required<StoreFaults>
}

/** Defines one test of the contract. */
export type DefineTest = (title: string, body: (world: ContractWorld) => Promise<void>) => void

/** A lease long enough to outlive any test. */
export const LONG_MS = 600_000

const BATCH_TIME = Date.UTC(2024, 0, 1)

export function range(partition: number, fromOffset: number, untilOffset: number, rest: Partial<OffsetRange> = {}): OffsetRange {
  return { topic: 'orders', partition, fromOffset, untilOffset, ...rest }
}

export function batch(id: number, ranges: readonly OffsetRange[], rest: Partial<Batch> = {}): Batch {
  return { id, batchTime: BATCH_TIME + id, epoch: 1, ranges, ...rest }
}

export function position(partition: number, offset: number, rest: Partial<PartitionOffset> = {}): PartitionOffset {
  return { topic: 'orders', partition, offset, ...rest }
}

export function uniqueName(prefix: string): string {
  return `${prefix}-${systemRandom.id()}`
}

/** Begins and commits, as a driver does. */
export async function run(store: OffsetStore, lease: Lease, next: Batch): Promise<void> {
  await store.begin(lease, next)
  await store.commit(lease, next.id)
}

export async function historyOf(store: OffsetStore, stream: string, options: HistoryOptions = {}): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  for await (const entry of store.history(stream, options)) entries.push(entry)
  return entries
}

/** Waits for the refusal and gives it back; anything else fails the test. */
export async function refused(call: Promise<unknown>, code: ErrorCode): Promise<TidemarkError> {
  const error = await call.then(
    () => assert.fail(`expected ${code}, but the call was accepted`),
    (thrown: unknown) => thrown,
  )
  if (isTidemarkError(error, code)) return error
  throw error
}

/** Refused, and the whole stream is afterwards what it was before. */
export async function refusedUnchanged(world: ContractWorld, call: () => Promise<unknown>, code: ErrorCode): Promise<TidemarkError> {
  const before = await everything(world)
  const error = await refused(call(), code)
  assert.deepEqual(await everything(world), before)
  return error
}

/** All that can be seen of a stream, by both clients. */
export async function everything({ store, other, stream }: ContractWorld): Promise<unknown> {
  return [await store.read(stream), await store.snapshot(stream), await other.read(stream), await other.snapshot(stream)]
}

/** Sends a call until it is accepted, as a driver does: what may pass is tried again, anything else fails the test. */
export async function untilAccepted<T>(call: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!isRetryable(error) || performance.now() > deadline) throw error
    }
    await setTimeout(5)
  }
}

/** Tries until the lease that is in the way has ended, by the store's clock and nobody else's. */
export async function acquireWhenFree(
  store: OffsetStore,
  stream: string,
  owner: string,
  ttlMs: number,
  meanwhile = async () => {},
): Promise<Lease> {
  const deadline = performance.now() + 30_000
  for (;;) {
    try {
      return await store.acquire(stream, owner, ttlMs)
    } catch (error) {
      if (!isTidemarkError(error, 'LEASE_HELD') || performance.now() > deadline) throw error
    }
    await meanwhile()
    await setTimeout(5)
  }
}
