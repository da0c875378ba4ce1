import { Cluster } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { redisSink } from '../../../connectors/redis/index.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'
import { type RedisCluster, startRedisCluster } from '../../support/services/start-redis-cluster.ts'
import { rowsOf, running, TestOutput } from './redis-output.ts'

type Row = { id: number }

let cluster: RedisCluster
let client: Cluster

beforeAll(async () => {
  cluster = await startRedisCluster()
  client = new Cluster([...cluster.startupNodes])
})

afterAll(async () => {
  client.disconnect()
  await cluster.close()
})

test('on a Cluster, rows with the hash tag of their output are in exactly once', async () => {
  const here = new TestOutput()
  const sink = await here.start(redisSink<Row>({ client, hashTag: 'totals', hash: { key: row => `{totals}:${row.id}` } }))
  expect(sink.guarantee).toBe('exactly-once')
  await sink.write(
    here.task(),
    rowsOf(0, 1_500, id => ({ id })),
    running,
  )
  expect(await sink.applied?.(here.task())).toBe(true)
  expect(await client.hgetall('{totals}:1499')).toEqual({ id: '1499' })
})

test('a row without the tag is refused by its key: it could be on another node than the ledger', async () => {
  const here = new TestOutput()
  const sink = await here.start(redisSink<Row>({ client, hashTag: 'totals', hash: { key: row => `total:${row.id}` } }))
  await expect(
    sink.write(
      here.task(),
      rowsOf(0, 1, id => ({ id })),
      running,
    ),
  ).rejects.toMatchObject({
    code: 'RECORD',
    message: expect.stringContaining('total:0 does not carry'),
  })
})

test('without a tag the output is at-least-once, writes all the same, and a stream that demands more does not start', async () => {
  const here = new TestOutput()
  const sink = await here.start(redisSink<Row>({ client, name: 'spread', string: { key: row => `spread:${here.stream}:${row.id}` } }))
  expect(sink.guarantee).toBe('at-least-once')
  await sink.write(
    here.task(),
    rowsOf(0, 700, id => ({ id })),
    running,
  )
  expect(await client.get(`spread:${here.stream}:699`)).toBe('{"id":699}')

  const job = stream({ name: here.stream, guarantee: 'exactly-once', offsets: memoryOffsets(), log: silentLog })
  const demanding = job.from(memorySource({ topics: { orders: 1 } })).map(() => ({ id: 1 }))
  await expect(demanding.to(sink).start({ until: 'latest' })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining("output redis:spread is 'at-least-once'"),
  })
})
