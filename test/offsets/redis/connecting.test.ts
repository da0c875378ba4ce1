import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { redisOffsets } from '../../../offsets/redis/index.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { findFreePorts } from '../../support/services/free-port.ts'
import { runProgram } from '../../support/services/run-program.ts'
import { serveTls } from '../../support/services/serve-tls.ts'
import type { Service } from '../../support/services/service.ts'
import { startRedis } from '../../support/services/start-redis.ts'

const LONG_MS = 600_000
let redis: Service
let admin: Redis
beforeAll(async () => {
  redis = await startRedis({ own: true })
  admin = new Redis(redis.address)
  await admin.call('ACL', 'SETUSER', 'driver', 'on', '>hunter2', '~{tidemark*', '+@all', '-@admin')
})
afterAll(async () => {
  admin.disconnect()
  await redis.close()
})

function urlWith(change: (url: URL) => void): string {
  const url = new URL(redis.address)
  change(url)
  return url.href
}

function urlOf(username: string, password: string): string {
  return urlWith(url => Object.assign(url, { username, password }))
}

test('making a store connects nothing', async () => {
  redisOffsets({ url: redis.address })
  await using used = redisOffsets({ url: redis.address })
  await used.streams()
  const connected = String(await admin.client('LIST')).split('\n')
  expect(connected.filter(line => line.includes('name=tidemark-offsets'))).toHaveLength(1)
})

test('a server that cannot be reached is told at once, by host and port and without the password', async () => {
  const [port = 0] = await findFreePorts(1)
  await using store = redisOffsets({ url: `redis://driver:hunter2@127.0.0.1:${port}` })
  const error = await store.acquire('orders', 'first', LONG_MS).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'CONNECTION', retryable: true, message: expect.stringMatching(`127.0.0.1:${port} .*ECONNREFUSED`) })
  expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
})

test('a host that has no address is told by its name', async () => {
  await using store = redisOffsets({ url: 'redis://no-such-host.invalid:6379' })
  await expect(store.read('orders')).rejects.toMatchObject({ code: 'CONNECTION', message: expect.stringMatching('no-such-host.invalid') })
})

test('credentials in the URL let in', async () => {
  await using store = redisOffsets({ url: urlOf('driver', 'hunter2') })
  expect((await store.acquire(systemRandom.id(), 'first', LONG_MS)).epoch).toBe(1)
})

test.for([
  ['driver', 'hunter3'],
  ['nobody', 'hunter3'],
])('the credentials of %s are refused at once, and are in no part of the error', async ([user = '', password = '']) => {
  const wrong = new Redis(urlOf(user, password), { lazyConnect: true })
  for (const target of [{ url: urlOf(user, password) }, { client: wrong }]) {
    await using store = redisOffsets(target)
    const error = await store.read('orders').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'AUTH', retryable: false, message: expect.stringMatching(/refused the user name or the password/) })
    expect(inspect(error, { depth: 10 })).not.toContain(password)
  }
  wrong.disconnect()
})

test('a server that asks for a password says so to whoever brings none', async () => {
  await admin.config('SET', 'requirepass', 'hunter2')
  try {
    await using store = redisOffsets({ url: redis.address })
    await expect(store.read('orders')).rejects.toMatchObject({ code: 'AUTH', message: expect.stringMatching(/none was given/) })
  } finally {
    await admin.config('SET', 'requirepass', '')
  }
})

test('a user whose rights end in the middle of a write is refused before anything is written', async () => {
  await admin.call('ACL', 'SETUSER', 'half', 'on', '>hunter2', '~*', '+@all', '-zadd')
  const prefix = systemRandom.id()
  await using store = redisOffsets({ url: urlOf('half', 'hunter2'), prefix })
  await expect(store.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({ code: 'AUTH', retryable: false })
  expect(await admin.exists(`{${prefix}:orders}:head`)).toBe(0)

  await admin.call('ACL', 'SETUSER', 'elsewhere', 'on', '>hunter2', '~other*', '+@all')
  await using outside = redisOffsets({ url: urlOf('elsewhere', 'hunter2'), prefix })
  await expect(outside.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({ code: 'AUTH' })
})

test('a database of its own is chosen by the path, and one that is not there is told', async () => {
  const stream = systemRandom.id()
  await using other = redisOffsets({ url: urlWith(url => Object.assign(url, { pathname: '/3' })) })
  await other.acquire(stream, 'first', LONG_MS)
  await using store = redisOffsets({ url: redis.address })
  expect((await store.read(stream)).streamId).toBeUndefined()
  expect(await other.streams()).toContain(stream)

  await using nowhere = redisOffsets({ url: urlWith(url => Object.assign(url, { pathname: '/9999' })) })
  for (const call of [() => nowhere.read(stream), () => nowhere.acquire(stream, 'first', LONG_MS)]) {
    await expect(call()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(/no such database/) })
  }
})

test('a server that comes up later is found, and one that was restarted too', async () => {
  await using late = await startRedis({ own: true })
  await late.stop()
  await using store = redisOffsets({ url: late.address })
  await expect(store.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({ code: 'CONNECTION' })
  await late.start()
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await late.kill()
  await late.start()
  await store.renew(lease)
})

test('a server that falls silent is an error that may be retried, and an abort is not waited for', async () => {
  await using proxy = await startFaultProxy(redis.address)
  const store = redisOffsets({ url: proxy.address, prefix: systemRandom.id() })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  proxy.hold()
  const reason = new Error('stopped')
  const controller = new AbortController()
  const aborted = expect(store.renew(lease, { signal: controller.signal })).rejects.toBe(reason)
  controller.abort(reason)
  await aborted
  await expect(store.renew(lease)).rejects.toMatchObject({
    code: 'CONNECTION',
    retryable: true,
    message: expect.stringMatching(/no answer within 5000 ms/),
  })
  proxy.release()
  await store.renew(lease)
  await store.close()
})

test("a caller's client is left connected, with the listeners that it had", async () => {
  const client = new Redis(redis.address, { lazyConnect: true })
  const listeners = () => [client.listenerCount('error'), client.listenerCount('ready')]
  const before = listeners()
  const prefix = systemRandom.id()
  const store = redisOffsets({ client, prefix })
  const others = Array.from({ length: 20 }, () => redisOffsets({ client, prefix }))
  await store.acquire('orders', 'first', LONG_MS)
  for (const other of others) await other.read('orders')
  expect(listeners()).toEqual(before.map(count => count + 1))
  for (const other of others) await other.close()
  await store.close()
  expect(client.status).toBe('ready')
  expect(listeners()).toEqual(before)
  expect((await store.acquire('orders', 'second', LONG_MS)).epoch).toBe(2)
  await store.close()

  client.disconnect()
  await once(client, 'end')
  await expect(store.read('orders')).rejects.toMatchObject({
    code: 'CONNECTION',
    retryable: false,
    message: expect.stringMatching(/was closed/),
  })
})

test('the options of a caller’s client may be any', async () => {
  const client = new Redis(redis.address, { keyPrefix: 'app{1}:', stringNumbers: true, enableAutoPipelining: true, replyMapping: 'resp3' })
  const store = redisOffsets({ client, prefix: systemRandom.id() })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.reset(lease, [{ topic: 'orders', partition: 0, offset: 7 }], { reason: 'start' })
  expect(await store.streams()).toEqual(['orders'])
  expect(await store.snapshot('orders')).toMatchObject({ offsets: [{ offset: 7 }], history: [{ kind: 'start' }] })
  await store.close()
  client.disconnect()
})

test('rediss: goes over TLS, and a certificate that nobody vouches for is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  await runProgram('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2', ...subject])
  const pem = { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  await rm(folder, { recursive: true })
  const server = await serveTls(redis.address, pem)
  const { port } = server.address() as { port: number }
  const trusted = getCACertificates()
  try {
    await using stranger = redisOffsets({ url: `rediss://localhost:${port}` })
    await expect(stranger.read('orders')).rejects.toMatchObject({
      code: 'CONNECTION',
      retryable: false,
      message: expect.stringMatching(/over TLS: self-signed certificate.*trusts the certificate/),
    })
    setDefaultCACertificates([...trusted, pem.cert])
    await using store = redisOffsets({ url: `rediss://localhost:${port}`, prefix: systemRandom.id() })
    expect((await store.acquire('orders', 'first', LONG_MS)).epoch).toBe(1)
  } finally {
    setDefaultCACertificates(trusted)
    server.close()
  }
})
