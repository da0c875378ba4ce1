import { describe, expect, test } from 'vitest'
import { redisSink } from '../../../connectors/redis/index.ts'
import { uniqueName } from '../../support/kafka.ts'
import { services } from '../../support/services.ts'
import { redisClient, rowsOf, running, TestOutput } from './redis-output.ts'

type Order = { id: number; total: number | null; tags?: string[] }

const url = () => services().redis

describe('a row', () => {
  test('is a key with its JSON, or the value that is made of it, for as long as was said', async () => {
    const here = new TestOutput()
    const prefix = uniqueName('string')
    const sink = await here.start(redisSink<Order>({ url: url(), string: { key: row => `${prefix}:${row.id}`, ttlMs: 60_000 } }))
    await sink.write(
      here.task(),
      rowsOf(0, 2, id => ({ id, total: id / 2 })),
      running,
    )
    const redis = redisClient()
    expect(await redis.mget(`${prefix}:0`, `${prefix}:1`)).toEqual(['{"id":0,"total":0}', '{"id":1,"total":0.5}'])
    expect(await redis.pttl(`${prefix}:1`)).toBeGreaterThan(1_000)
  })

  test('is a hash that is replaced whole: fields that are null are not there, and objects are JSON', async () => {
    const here = new TestOutput()
    const prefix = uniqueName('hash')
    const redis = redisClient()
    await redis.hset(`${prefix}:0`, { old: 'field' })
    const sink = await here.start(redisSink<Order>({ url: url(), hash: { key: row => `${prefix}:${row.id}` } }))
    await sink.write(
      here.task(),
      rowsOf(0, 1, id => ({ id, total: null, tags: ['a'] })),
      running,
    )
    expect(await redis.hgetall(`${prefix}:0`)).toEqual({ id: '0', tags: '["a"]' })
  })

  test('is an entry of a stream, in the order of the rows, and the stream is kept to about its length', async () => {
    const here = new TestOutput()
    const key = uniqueName('stream')
    const sink = await here.start(redisSink<Order>({ url: url(), stream: { key, maxLength: 100 } }))
    await sink.write(
      here.task(),
      rowsOf(0, 2_000, id => ({ id, total: 1 })),
      running,
    )
    const entries = await redisClient().xrange(key, '-', '+')
    const ids = entries.map(([, fields]) => Number(fields[1]))
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, at) => 2_000 - ids.length + at))
    expect(ids.length).toBeLessThan(500)
  })

  test('is a member of a sorted set with its score', async () => {
    const here = new TestOutput()
    const key = uniqueName('sorted')
    const scores = [1.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 53 - 1]
    const sink = await here.start(
      redisSink<Order>({ url: url(), sortedSet: { key, member: row => `m${row.id}`, score: row => scores[row.id] ?? 0 } }),
    )
    await sink.write(
      here.task(),
      rowsOf(0, 4, id => ({ id, total: 1 })),
      running,
    )
    expect(await redisClient().zrange(key, '0', '-1', 'WITHSCORES')).toEqual([
      'm2',
      '-inf',
      'm0',
      '1.5',
      'm3',
      '9007199254740991',
      'm1',
      'inf',
    ])
  })

  test('takes its key or its member away where deleteWhen says so', async () => {
    const here = new TestOutput()
    const [prefix, key] = [uniqueName('string'), uniqueName('sorted')]
    const deleteWhen = (row: Order) => row.total === null
    const strings = redisSink<Order>({ url: url(), string: { key: row => `${prefix}:${row.id % 2}` }, deleteWhen })
    const members = redisSink<Order>({
      url: url(),
      sortedSet: { key, member: row => row.id % 2, score: row => row.id },
      deleteWhen,
      name: 'm',
    })
    for (const [index, sink] of [strings, members].entries()) {
      await here.start(sink)
      await sink.write(
        here.task({ index }),
        rowsOf(0, 4, id => ({ id, total: id === 3 ? null : 1 })),
        running,
      )
    }
    const redis = redisClient()
    expect(await redis.exists(`${prefix}:0`, `${prefix}:1`)).toBe(1)
    expect(await redis.zrange(key, '0', '-1')).toEqual(['0'])
  })

  test('may be bytes and any text', async () => {
    const here = new TestOutput()
    const key = `${uniqueName('odd')} ☃ {brace} \0 \n`
    const bytes = Buffer.from([0, 255, 13, 10, 128])
    const sink = await here.start(redisSink<Order>({ url: url(), string: { key: () => key, value: () => bytes } }))
    await sink.write(
      here.task(),
      rowsOf(0, 1, id => ({ id, total: 1 })),
      running,
    )
    expect(await redisClient().getBuffer(key)).toEqual(bytes)
  })
})

describe('a row that cannot be written', () => {
  const cases: [string, Parameters<typeof redisSink<Order>>[0], RegExp][] = [
    ['has no key', { url: '', string: { key: () => '' } }, /its key is an empty string/],
    ['has a score that is none', { url: '', sortedSet: { key: 'k', member: () => 'a', score: () => Number.NaN } }, /its score is NaN/],
    ['has no fields', { url: '', stream: { key: 'k', fields: () => ({}) } }, /it has no fields/],
    ['has a value that is none', { url: '', string: { key: () => 'k', value: () => true as never } }, /its value is true/],
  ]
  test.for(cases)('%s is named by its place, and nothing of its chunk is there', async ([, options, says]) => {
    const here = new TestOutput()
    const key = uniqueName('refused')
    const sink = await here.start(redisSink<Order>({ ...options, url: url() } as typeof options))
    const failed = sink.write(
      here.task(),
      rowsOf(0, 3, id => ({ id, total: 1 })),
      running,
    )
    await expect(failed).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(new RegExp(`^Row 1 of orders/0 \\[0, 10\\).*${says.source}`)),
      details: { topic: 'orders', partition: 0, row: 1 },
    })
    expect(await redisClient().exists(key)).toBe(0)
  })

  test('has a key that holds something else: nothing of its chunk is written, and the key is named', async () => {
    const here = new TestOutput()
    const prefix = uniqueName('type')
    const redis = redisClient()
    await redis.lpush(`${prefix}:7`, 'a list')
    const sink = await here.start(redisSink<Order>({ url: url(), hash: { key: row => `${prefix}:${row.id}` } }))
    await expect(
      sink.write(
        here.task(),
        rowsOf(0, 10, id => ({ id, total: 1 })),
        running,
      ),
    ).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(`Key ${prefix}:7 of Redis`),
    })
    expect(await redis.exists(...Array.from({ length: 10 }, (_, id) => `${prefix}:${id}`))).toBe(1)
  })
})

describe('options', () => {
  test.for([
    [{ url: undefined, string: { key: () => 'a' } }, /is REDIS_URL set\?/],
    [{ url: 'redis://localhost' }, /exactly one of string, hash, stream, sortedSet, and none is given/],
    [{ url: 'redis://localhost', string: { key: () => 'a' }, stream: { key: 'a' } }, /there are string and stream/],
    [{ url: 'redis://localhost', stream: { key: 'a' }, deleteWhen: () => true }, /an entry of a stream is not taken away/],
    [{ url: 'redis://localhost', stream: { key: 'a' }, hashTag: '{a}' }, /without them/],
  ] as const)('that are wrong are told: %#', ([options, says]) => {
    expect(() => redisSink(options as never)).toThrow(says)
  })

  test('name the output by its key, its kind, or its name', () => {
    expect(redisSink({ url: 'redis://localhost', stream: { key: 'orders' } }).name).toBe('redis:orders')
    expect(redisSink({ url: 'redis://localhost', stream: { key: () => 'orders' } }).name).toBe('redis:stream')
    expect(redisSink({ url: 'redis://localhost', hash: { key: () => 'a' }, name: 'totals' }).name).toBe('redis:totals')
  })
})
