import { describe, test } from 'vitest'
import { MemoryOffsetStore } from '../../../offsets/memory/memory-offset-store.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'

offsetStoreContract({
  describe,
  test,
  open: async () => {
    const streams = new Map()
    return { store: new MemoryOffsetStore(streams), another: async () => new MemoryOffsetStore(streams), close: async () => {} }
  },
})
