import zookeeper from 'node-zookeeper-client'
import { expect, test } from 'vitest'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { services } from '../../support/services.ts'
import { closeRaw } from './raw-client.ts'

const auth = { scheme: 'digest', auth: 'etl:hunter2' }

function uniqueRoot(): string {
  return `/access-${systemRandom.id()}`
}

test('with credentials a stream is for those who have them', async () => {
  const at = { connect: services().zookeeper, root: uniqueRoot() }
  await using store = zookeeperOffsets({ ...at, auth })
  await using same = zookeeperOffsets({ ...at, auth })
  const lease = await store.acquire('orders', 'first', 60_000)
  await same.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [] })
  for (const options of [at, { ...at, auth: { scheme: 'digest', auth: 'etl:swordfish' } }]) {
    await using stranger = zookeeperOffsets(options)
    for (const call of [stranger.read('orders'), stranger.acquire('orders', 'second', 60_000, { steal: true }), stranger.streams()]) {
      const error = await call.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'AUTH', retryable: false, message: expect.stringContaining(at.root) })
      expect(String(error)).not.toMatch(/hunter2|swordfish/)
    }
  }
  expect(await store.read('orders')).toMatchObject({ epoch: 1, pending: { id: 1 } })
})

test("with acl 'open' credentials keep nobody out", async () => {
  const at = { connect: services().zookeeper, root: uniqueRoot() }
  await using store = zookeeperOffsets({ ...at, auth, acl: 'open' })
  await store.acquire('orders', 'first', 60_000)
  await using anybody = zookeeperOffsets(at)
  expect(await anybody.streams()).toEqual(['orders'])
})

test('credentials of a scheme that the server does not know are an error of credentials', async () => {
  await using store = zookeeperOffsets({ connect: services().zookeeper, auth: { scheme: 'kerberos', auth: 'etl:hunter2' } })
  const error = await store.read('orders').catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'AUTH' })
  expect(String(error)).not.toContain('hunter2')
})

test("acl 'creator' works with the credentials of a client that was given, and says where it has none", async () => {
  const client = zookeeper.createClient(services().zookeeper)
  const root = uniqueRoot()
  const store = zookeeperOffsets({ client, root, acl: 'creator' })
  await expect(store.acquire('orders', 'first', 60_000)).rejects.toMatchObject({
    code: 'AUTH',
    message: expect.stringContaining('addAuthInfo'),
  })
  client.addAuthInfo(auth.scheme, Buffer.from(auth.auth))
  await store.acquire('orders', 'first', 60_000)
  await using stranger = zookeeperOffsets({ connect: services().zookeeper, root })
  await expect(stranger.read('orders')).rejects.toMatchObject({ code: 'AUTH' })
  await store.close()
  await closeRaw(client)
})
