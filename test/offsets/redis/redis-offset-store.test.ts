import { afterAll, beforeAll, describe, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import type { Service } from '../../support/services/service.ts'
import { startRedis } from '../../support/services/start-redis.ts'

let redis: Service
beforeAll(async () => {
  redis = await startRedis({ own: true })
})
afterAll(() => redis.close())

async function restart(): Promise<void> {
  await redis.kill()
  await redis.start()
}

offsetStoreContract({
  describe,
  test,
  open: async () => {
    const proxy = await startFaultProxy(redis.address)
    const prefix = `test:${systemRandom.id()}`
    const open = () => redisOffsets({ url: proxy.address, prefix })
    return { store: open(), another: async () => open(), close: proxy.close, faults: { ...proxy, restart } }
  },
  faults: ['cut', 'loseNextAnswer', 'restart'],
  clock: 'server',
  big: true,
  model: memoryOffsets,
})
