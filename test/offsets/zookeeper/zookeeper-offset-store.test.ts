import { describe, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { startZookeeper } from '../../support/services/start-zookeeper.ts'
import { services } from '../../support/services.ts'

offsetStoreContract({
  describe,
  test,
  open: async fault => {
    // Others use the shared server: one of our own is killed.
    const own = fault === 'restart' ? await startZookeeper({ own: true }) : undefined
    const proxy = await startFaultProxy(own?.address ?? services().zookeeper)
    const restart = async () => {
      await own?.kill()
      await own?.start()
    }
    const open = () => zookeeperOffsets({ connect: proxy.address, root: '/contract' })
    const close = async () => {
      await proxy.close()
      await own?.close()
    }
    return { store: open(), another: async () => open(), close, faults: { ...proxy, restart } }
  },
  faults: ['cut', 'loseNextAnswer', 'restart'],
  clock: 'server',
  big: true,
  model: memoryOffsets,
})
