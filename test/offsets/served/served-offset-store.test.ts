import { afterAll, beforeAll, describe, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { ServedOffsetStore } from './served-offset-store.ts'
import { type ServedStore, startServedStore } from './start-served-store.ts'

let server: ServedStore
beforeAll(async () => {
  server = await startServedStore()
})
afterAll(() => server.close())

offsetStoreContract({
  describe,
  test,
  open: async () => {
    const proxy = await startFaultProxy(server.address)
    const open = () => new ServedOffsetStore(proxy)
    return { store: open(), another: async () => open(), close: proxy.close, faults: { ...proxy, restart: () => server.restart() } }
  },
  faults: ['cut', 'loseNextAnswer', 'restart'],
  clock: 'server',
  model: memoryOffsets,
})
