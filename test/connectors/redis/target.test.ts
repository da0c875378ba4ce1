import { Cluster, Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { redisSink } from '../../../connectors/redis/index.ts'
import type { RedisClient } from '../../../src/util/redis-client.ts'

const stream = { key: 'orders' }
const lazy = { lazyConnect: true, password: 'hidden' }

describe('what an output points at', () => {
  test.for([
    ['redis://hidden:hidden@cache.example:6380/2', 'cache.example:6380/2'],
    ['rediss://:hid%40den@cache.example', 'cache.example:6379/0'],
    ['redis://cache.example/?db=3&password=hidden', 'cache.example:6379/3'],
    ['redis://[2001:db8::1]:6380', '[2001:db8::1]:6380/0'],
  ] as const)('of %s is its server, database, key and ledger, without a user or password', ([url, server]) => {
    expect(redisSink({ url, stream }).target).toBe(`${server}, stream orders, ledger under tidemark`)
  })

  test('says where keys are made by row, and under what the ledger is', () => {
    const byRow = redisSink<{ id: number }>({ url: 'redis://localhost', prefix: 'own', hash: { key: ({ id }) => `order:${id}` } })
    expect(byRow.target).toBe('localhost:6379/0, hash by row, ledger under own')
  })

  test('is not told where a password was not encoded and nobody can tell it from the rest', () => {
    expect(redisSink({ url: 'redis://user:1#hidden@cache.example', stream }).target).toBeUndefined()
  })

  test.for<[string, () => RedisClient, string]>([
    ['a client', () => new Redis({ ...lazy, host: 'cache.example', port: 6380, db: 2 }), 'cache.example:6380/2'],
    ['a client with a prefix', () => new Redis({ ...lazy, keyPrefix: 'shop:' }), 'localhost:6379/0 under shop:'],
    ['a client of a socket', () => new Redis({ ...lazy, path: '/run/redis.sock' }), '/run/redis.sock/0'],
    [
      'a client of sentinels',
      () => new Redis({ ...lazy, name: 'main', sentinels: [{ host: 'b', port: 26379 }, { host: 'a' }] }),
      'main of sentinels a:6379,b:26379/0',
    ],
    [
      'a cluster',
      () => new Cluster([{ host: 'b', port: 7001 }, 'redis://:hidden@a:7000', 'c:7002', 7003], { lazyConnect: true }),
      'cluster of a:7000,b:7001,c:7002,localhost:7003',
    ],
  ])('is read from the options of %s, which connects nothing', ([, make, server]) => {
    const client = make()
    expect(redisSink({ client, stream }).target).toBe(`${server}, stream orders, ledger under tidemark`)
    expect(client.status).toBe('wait')
  })
})

test('two attempts may run side by side where there is a ledger: not on a cluster without a hash tag', () => {
  expect(redisSink({ url: 'redis://localhost', stream }).allowsTwins).toBe(true)
  const client = new Cluster(['a:7000'], { lazyConnect: true })
  expect(redisSink({ client, stream }).allowsTwins).toBe(false)
  expect(redisSink({ client, stream: { key: '{orders}' }, hashTag: 'orders' }).allowsTwins).toBe(true)
})
