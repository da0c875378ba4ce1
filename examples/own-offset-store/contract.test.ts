// Every rule of an offset store, under node --test.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { memoryOffsets } from 'tidemark/offsets/memory'
import { offsetStoreContract } from 'tidemark/testing'
import { DocumentOffsetStore } from './document-offsets.ts'
import { VersionedFiles } from './versioned-files.ts'

offsetStoreContract({
  describe,
  test,
  open: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'document-offsets-'))
    const open = () => new DocumentOffsetStore(new VersionedFiles(folder))
    return { store: open(), another: async () => open(), close: () => rm(folder, { recursive: true }) }
  },
  model: memoryOffsets,
})
