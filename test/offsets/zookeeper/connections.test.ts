import { once } from 'node:events'
import { type AddressInfo, createServer, connect as dial } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import zookeeper from 'node-zookeeper-client'
import { describe, expect, test } from 'vitest'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { startZookeeper } from '../../support/services/start-zookeeper.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { closeRaw, connectRaw, isThere, transact } from './raw-client.ts'

const root = '/connections'

function uniqueStream(): string {
  return `orders-${systemRandom.id()}`
}

async function runsABatch(store: OffsetStore): Promise<void> {
  const stream = uniqueStream()
  const lease = await store.acquire(stream, 'first', 60_000)
  await store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 5 }] })
  await store.commit(lease, 1)
  expect(await store.read(stream)).toMatchObject({ lastBatchId: 1, offsets: [{ topic: 'orders', partition: 0, offset: 5 }] })
}

/** A proxy in front of the shared server. `change` says what of an answer's bytes goes on, and may end the connection after them. */
async function startChangingProxy(change: (bytes: Buffer, end: () => void) => Buffer | undefined) {
  const [host = '', port = ''] = services().zookeeper.split(':')
  const server = createServer(from => {
    const to = dial(Number(port), host)
    from.on('data', bytes => to.write(bytes))
    to.on('data', bytes => {
      const left = change(bytes, () => process.nextTick(() => from.end()))
      if (left !== undefined) from.write(left)
    })
    from.on('error', () => {}).on('close', () => to.destroy())
    to.on('error', () => {}).on('close', () => from.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: ownPort } = server.address() as AddressInfo
  return {
    address: `127.0.0.1:${ownPort}`,
    onceConnected: (listener: () => void) => void server.once('connection', listener),
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

describe.concurrent('a store with a client of its own', () => {
  test('says who cannot be reached', async () => {
    const [port] = await findFreePorts(1)
    await using store = zookeeperOffsets({ connect: `127.0.0.1:${port}`, auth: { scheme: 'digest', auth: 'etl:hunter2' } })
    const error = await store.read('orders').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONNECTION', retryable: true, message: expect.stringContaining(`127.0.0.1:${port}`) })
    expect(String(error)).not.toContain('hunter2')
  })

  test('gives up a call whose network went silent, and goes on when it is back', async () => {
    await using proxy = await startFaultProxy(services().zookeeper)
    await using store = zookeeperOffsets({ connect: proxy.address, root, sessionTimeoutMs: 600 })
    await runsABatch(store)
    proxy.hold()
    await expect(store.read('orders')).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    proxy.release()
    await runsABatch(store)
  })

  test('sends a call again over a new connection where the old one went silent', async () => {
    let isSilent = false
    await using proxy = await startChangingProxy(bytes => (isSilent ? undefined : bytes))
    await using store = zookeeperOffsets({ connect: proxy.address, root, sessionTimeoutMs: 600 })
    await runsABatch(store)
    isSilent = true
    proxy.onceConnected(() => (isSilent = false))
    await runsABatch(store)
    expect(isSilent).toBe(false)
  })

  test('makes the chroot that is not there', async () => {
    const chroot = `/chroot-${systemRandom.id()}/inside`
    await using store = zookeeperOffsets({ connect: `${services().zookeeper}${chroot}` })
    await runsABatch(store)
    await using raw = await connectRaw(services().zookeeper)
    expect(await isThere(raw, `${chroot}/tidemark/streams`)).toBe(true)
  })

  test('does not open the connection again for a call that its close cut off', async () => {
    await using proxy = await startFaultProxy(services().zookeeper)
    await using store = zookeeperOffsets({ connect: proxy.address, root })
    await runsABatch(store)
    await store.close()
    await store.read('orders')
    proxy.hold()
    const cutOff = store.read('orders').catch((error: unknown) => error)
    await setImmediate()
    await store.close()
    proxy.release()
    expect(await cutOff).toMatchObject({ code: 'CONNECTION' })
    await runsABatch(store)
  })

  test('outlives an answer with an error that node-zookeeper-client does not know', async () => {
    await using own = await startZookeeper({ own: true, settings: { enforceQuota: 'true' } })
    await using raw = await connectRaw(own.address)
    await transact(raw, transaction => {
      transaction.create('/tidemark', Buffer.alloc(0))
      transaction.create('/zookeeper/quota/tidemark', Buffer.alloc(0))
      transaction.create('/zookeeper/quota/tidemark/zookeeper_limits', Buffer.from('count=2,bytes=-1,countHardLimit=2,byteHardLimit=-1'))
      transaction.create('/zookeeper/quota/tidemark/zookeeper_stats', Buffer.from('count=1,bytes=0'))
    })
    await using store = zookeeperOffsets({ connect: own.address })
    const error = await store.acquire('orders', 'first', 60_000).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'CONNECTION', cause: { message: expect.stringContaining('-125') } })
  })
})

describe('a store with a client that it was given', () => {
  test('uses one that is connected, and leaves it open', async () => {
    await using client = await connectRaw(services().zookeeper)
    await using store = zookeeperOffsets({ client, root })
    await runsABatch(store)
    await store.close()
    expect(client.getState().name).toBe('SYNC_CONNECTED')
    await runsABatch(store)
  })

  test('connects one that is not, once, also when two stores share it', async () => {
    const client = zookeeper.createClient(services().zookeeper)
    await using first = zookeeperOffsets({ client, root })
    await using second = zookeeperOffsets({ client, root })
    await Promise.all([runsABatch(first), runsABatch(second)])
    expect(client.getState().name).toBe('SYNC_CONNECTED')
    await first.close()
    await second.close()
    await closeRaw(client)
  })

  test('says so when its session has expired, and that it cannot be revived', async () => {
    await using proxy = await startFaultProxy(services().zookeeper)
    const client = zookeeper.createClient(proxy.address, { sessionTimeout: 500 })
    const store = zookeeperOffsets({ client, root })
    await runsABatch(store)
    const ephemeral = `/session-${systemRandom.id()}`
    await transact(client, transaction => void transaction.create(ephemeral, Buffer.alloc(0), zookeeper.CreateMode.EPHEMERAL))
    await using raw = await connectRaw(services().zookeeper)
    const expired = once(client, 'expired')
    proxy.hold()
    await waitUntil('the end of the session', async () => !(await isThere(raw, ephemeral)))
    proxy.release()
    await expired
    const said = { code: 'CONNECTION', retryable: false, message: expect.stringContaining('cannot be revived') }
    await expect(store.read('orders')).rejects.toMatchObject(said)
    await expect(store.read('orders')).rejects.toMatchObject(said)
  })

  test('names a chroot that is not there', async () => {
    const client = zookeeper.createClient(`${services().zookeeper}/nobody-made-this`)
    const store = zookeeperOffsets({ client, root })
    await expect(store.acquire('orders', 'first', 1_000)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('chroot'),
    })
    await closeRaw(client)
  })

  test('reads on after an answer that was cut off in the middle', async () => {
    const stream = uniqueStream()
    await using writer = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await writer.acquire(stream, 'first', 60_000)
    const offsets = Array.from({ length: 500 }, (_, partition) => ({ topic: systemRandom.id(), partition, offset: partition }))
    await writer.reset(lease, offsets, { reason: 'start' })

    let hasCut = false
    await using proxy = await startChangingProxy((bytes, end) => {
      if (hasCut || bytes.length < 1_000) return bytes
      hasCut = true
      end()
      return bytes.subarray(0, 600)
    })
    const client = zookeeper.createClient(proxy.address)
    const store = zookeeperOffsets({ client, root })
    expect((await store.read(stream)).offsets).toHaveLength(500)
    expect(hasCut).toBe(true)
    await closeRaw(client)
  })
})
