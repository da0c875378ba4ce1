import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'

offsetStoreContract({
  describe,
  // Streams of a hundred thousand entries take seconds, and more where other tests run beside them.
  test: (title, body) => test(title, { timeout: 120_000 }, body),
  open: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'))
    const path = join(folder, 'new', 'offsets.db')
    const open = () => sqliteOffsets({ path })
    return { store: open(), another: async () => open(), close: () => rm(folder, { recursive: true }) }
  },
  big: true,
  model: memoryOffsets,
})
