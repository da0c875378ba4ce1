import type { OffsetStore } from '../../src/core/offset-store.ts'
import { MemoryOffsetStore } from './memory-offset-store.ts'

/**
 * Offsets in this process's memory: for tests, and for jobs that may begin again at every start. Its leases live by a monotonic clock. What it holds
 * outlives `close`, so a job can be started again with the same store.
 *
 *     stream({ name: 'orders', offsets: memoryOffsets() })
 */
export function memoryOffsets(): OffsetStore & AsyncDisposable {
  return new MemoryOffsetStore()
}
