import { describe, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { MemoryOffsetStore } from '../../../offsets/memory/memory-offset-store.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'

offsetStoreContract({
  describe,
  // Streams of a hundred thousand entries take seconds, and more where other tests run beside them.
  test: (title, body) => test(title, { timeout: 120_000 }, body),
  open: async () => {
    const streams = new Map()
    return { store: new MemoryOffsetStore(streams), another: async () => new MemoryOffsetStore(streams), close: async () => {} }
  },
  big: true,
  model: memoryOffsets,
})
