import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import { offsetStoreContract } from '../../../src/testing/index.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import type { Service } from '../../support/services/service.ts'
import { findPgbouncer, startPgbouncer } from '../../support/services/start-pgbouncer.ts'
import { services } from '../../support/services.ts'

const isInstalled = (await findPgbouncer()) !== undefined
if (!isInstalled) console.warn('PgBouncer is not installed, so nothing is tested through it here. Install the package pgbouncer.')

describe.skipIf(!isInstalled)('through PgBouncer in transaction mode', () => {
  let pgbouncer: Service
  beforeAll(async () => {
    pgbouncer = await startPgbouncer(services().postgres)
  })
  afterAll(() => pgbouncer?.close())

  offsetStoreContract({
    describe,
    test,
    open: async () => {
      const proxy = await startFaultProxy(pgbouncer.address)
      const open = () => postgresOffsets({ connectionString: proxy.address, schema: 'through pgbouncer' })
      return { store: open(), another: async () => open(), close: proxy.close, faults: { ...proxy } }
    },
    faults: ['cut', 'loseNextAnswer'],
    clock: 'server',
    model: memoryOffsets,
  })

  test('a PgBouncer that was restarted is connected to again', async () => {
    await using store = postgresOffsets({ connectionString: pgbouncer.address, schema: 'through pgbouncer' })
    const lease = await store.acquire('restarted', 'first', 60_000)
    await pgbouncer.kill()
    await expect(store.renew(lease)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    await pgbouncer.start()
    await store.renew(lease)
    await store.release(lease)
  })
})
