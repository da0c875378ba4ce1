import type { OffsetStore } from '../core/offset-store.ts'
import { defineBatchTests } from './offset-store/batches.ts'
import { type DefineTest, uniqueName } from './offset-store/contract.ts'
import { defineHistoryTests } from './offset-store/histories.ts'
import { defineLeaseTests } from './offset-store/leases.ts'
import { defineResetTests } from './offset-store/resets.ts'
import { defineStreamTests } from './offset-store/streams.ts'
import { defineValueTests } from './offset-store/values.ts'

/** A store as the contract wants it opened, once a test. Streams of earlier tests may still be in it. */
export type OpenedOffsetStore = {
  readonly store: OffsetStore
  /** Another client of the same data. The contract closes it. */
  readonly another: () => Promise<OffsetStore>
  /** Called last, when the contract has closed all clients: ends what `open` started. */
  readonly close: () => Promise<void>
}

export type OffsetStoreContractOptions = {
  /** Your runner's own; those of vitest, jest, mocha and `node:test` fit. */
  readonly describe: (title: string, body: () => void) => unknown
  readonly test: (title: string, body: () => Promise<void>) => unknown
  readonly open: () => Promise<OpenedOffsetStore>
  /** The shortest lease that the store can tell the end of, ms. Three tests wait for one to end. @default 250 */
  readonly leaseTtlMs?: number
}

/**
 * Every rule that an offset store must keep, each as a test, with one client and with two. A store that passes can carry a stream.
 *
 *     import { describe, test } from 'vitest'
 *     import { offsetStoreContract } from 'tidemark/testing'
 *
 *     offsetStoreContract({
 *       describe,
 *       test,
 *       open: async () => ({ store: myOffsets(url), another: async () => myOffsets(url), close: async () => {} }),
 *     })
 */
export function offsetStoreContract({ describe, test, open, leaseTtlMs = 250 }: OffsetStoreContractOptions): void {
  for (const clients of [1, 2] as const) {
    const define: DefineTest = (title, body) =>
      void test(title, async () => {
        const { store, another, close } = await open()
        const opened = [store]
        const openAnother = async () => {
          const client = await another()
          opened.push(client)
          return client
        }
        try {
          const other = clients === 1 ? store : await openAnother()
          await body({ store, other, another: openAnother, stream: uniqueName('orders'), ttlMs: leaseTtlMs })
        } finally {
          for (const client of opened) await client.close()
          await close()
        }
      })
    describe(clients === 1 ? 'with one client' : 'with two clients', () => {
      describe('leases', () => defineLeaseTests(define))
      describe('batches', () => defineBatchTests(define))
      describe('resets', () => defineResetTests(define))
      describe('history', () => defineHistoryTests(define))
      describe('values', () => defineValueTests(define))
      describe('whole streams', () => defineStreamTests(define))
    })
  }
}
