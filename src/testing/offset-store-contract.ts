import assert from 'node:assert/strict'
import type { OffsetStore } from '../core/offset-store.ts'
import { defineAbandonedClientTests } from './offset-store/abandoned-clients.ts'
import { defineBatchTests } from './offset-store/batches.ts'
import { defineBigTests } from './offset-store/big-streams.ts'
import { defineClockTests } from './offset-store/clock-skew.ts'
import { type DefineTest, type StoreFault, type StoreFaults, uniqueName } from './offset-store/contract.ts'
import { defineHistoryTests } from './offset-store/histories.ts'
import { defineKilledServerTests } from './offset-store/killed-servers.ts'
import { defineLeaseTests } from './offset-store/leases.ts'
import { defineCutTests, defineLostAnswerTests } from './offset-store/lost-connections.ts'
import { defineRaceTests } from './offset-store/races.ts'
import { defineModelTests } from './offset-store/random-calls.ts'
import { defineResetTests } from './offset-store/resets.ts'
import { defineStreamTests } from './offset-store/streams.ts'
import { defineValueTests } from './offset-store/values.ts'

/** A store as the contract wants it opened, once a test. Streams of earlier tests may still be in it. */
export type OpenedOffsetStore = {
  readonly store: OffsetStore
  /** Another client of the same data. The contract closes it, and in one test opens fifty. */
  readonly another: () => Promise<OffsetStore>
  /** Called last, when the contract has closed all clients: ends what `open` started. */
  readonly close: () => Promise<void>
  /** Faults that hit `store` and all that `another` gave. */
  readonly faults?: StoreFaults
}

export type OffsetStoreContractOptions = {
  /** Your runner's own; those of vitest, jest, mocha and `node:test` fit. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly test: (title: string, body: () => Promise<void>) => unknown
  /** `fault` is what the test will use of `faults`: a server that is killed must be one of its own. */
  readonly open: (fault: StoreFault | undefined) => Promise<OpenedOffsetStore>
  /** The shortest lease that the store can tell the end of, ms: some tests wait for one to end. @default 250 */
  readonly leaseTtlMs?: number
  /** Which faults `open` can make; the tests of a fault are defined where it is named. @default none */
  readonly faults?: readonly StoreFault[]
  /** Whose clock leases live by. With `server` a client's clock that is an hour off must change nothing. @default 'machine' */
  readonly clock?: 'server' | 'machine'
  /** Also the heavy tests: streams of 10,000 partitions and histories of 100,000 entries. They take seconds. @default false */
  readonly big?: boolean
  /**
   * Gives a store to compare with, such as `memoryOffsets` of `tidemark/offsets/memory`: random sequences of calls go to both, which must answer alike
   * and hold the same. @default not compared
   */
  readonly model?: () => OffsetStore
}

/**
 * Every rule that an offset store must keep, each as a test, with one client and with two. A store that passes can carry a stream.
 *
 *     import { describe, test } from 'vitest'
 *     import { memoryOffsets } from 'tidemark/offsets/memory'
 *     import { offsetStoreContract } from 'tidemark/testing'
 *
 *     offsetStoreContract({
 *       describe,
 *       test,
 *       open: async () => ({ store: myOffsets(url), another: async () => myOffsets(url), close: async () => {} }),
 *       model: memoryOffsets,
 *     })
 */
export function offsetStoreContract(options: OffsetStoreContractOptions): void {
  const { describe, faults = [], clock = 'machine', big = false, model } = options
  for (const clients of [1, 2] as const) {
    const define = defineWith(options, clients)
    describe(clients === 1 ? 'with one client' : 'with two clients', () => {
      describe('leases', () => defineLeaseTests(define))
      describe('batches', () => defineBatchTests(define))
      describe('resets', () => defineResetTests(define))
      describe('history', () => defineHistoryTests(define))
      describe('values', () => defineValueTests(define))
      describe('whole streams', () => defineStreamTests(define))
    })
  }

  const withTwo = defineWith(options, 2)
  describe('clients that write at once', () => defineRaceTests(withTwo))
  describe('clients that end without a word', () => defineAbandonedClientTests(withTwo))
  if (faults.includes('cut')) describe('connections that end', () => defineCutTests(defineWith(options, 2, 'cut')))
  if (faults.includes('loseNextAnswer')) {
    describe('answers that are lost', () => defineLostAnswerTests(defineWith(options, 2, 'loseNextAnswer')))
  }
  if (faults.includes('restart')) describe('a server that is killed', () => defineKilledServerTests(defineWith(options, 2, 'restart')))
  if (clock === 'server') describe('clocks that disagree', () => defineClockTests(withTwo))
  if (big) describe('big streams', () => defineBigTests(withTwo))
  if (model !== undefined) describe('compared with a model', () => defineModelTests(withTwo, model))
}

/** A test opens the store anew and closes all that it opened, also where it fails. */
function defineWith({ test, open, leaseTtlMs = 250 }: OffsetStoreContractOptions, clients: 1 | 2, fault?: StoreFault): DefineTest {
  return (title, body) =>
    void test(title, async () => {
      const { store, another, close, faults } = await open(fault)
      const opened = [store]
      const openAnother = async () => {
        const client = await another()
        opened.push(client)
        return client
      }
      try {
        const other = clients === 1 ? store : await openAnother()
        const world = { store, other, another: openAnother, stream: uniqueName('orders'), ttlMs: leaseTtlMs }
        await body({ ...world, faults: declared(faults) })
      } finally {
        for (const client of opened) await client.close()
        await close()
      }
    })
}

/** Turns a fault that was declared and not given into a test that fails by name. */
function declared(faults: StoreFaults = {}): Required<StoreFaults> {
  const missing = (name: StoreFault) => async () => assert.fail(`the fault ${name} is declared, and open() gives none of that name`)
  return {
    cut: faults.cut ?? missing('cut'),
    loseNextAnswer: faults.loseNextAnswer ?? missing('loseNextAnswer'),
    restart: faults.restart ?? missing('restart'),
  }
}
