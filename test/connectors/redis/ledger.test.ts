import { describe, expect, test } from 'vitest'
import { redisSink } from '../../../connectors/redis/index.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { uniqueName } from '../../support/kafka.ts'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { redisClient, rowsOf, running, TestOutput } from './redis-output.ts'

type Row = { id: number }

class StreamOutput extends TestOutput {
  readonly key = uniqueName('entries')

  sink(url = services().redis): Sink<Row> {
    return redisSink<Row>({ url, stream: { key: this.key } })
  }

  async ids(url?: string): Promise<number[]> {
    return (await redisClient(url).xrange(this.key, '-', '+')).map(([, fields]) => Number(fields[1]))
  }
}

const rows = (from: number, until: number) => rowsOf(from, until, id => ({ id }))
const numbers = (from: number, until: number) => Array.from({ length: until - from }, (_, at) => from + at)

/** Rows after which the attempt's process is as good as dead. */
async function* dyingRows(until: number): AsyncGenerator<readonly Row[]> {
  yield* rows(0, until)
  throw new Error('the process died')
}

describe('a task', () => {
  test('that comes again is in once, and is not read again', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    expect(await sink.applied?.(here.task())).toBe(false)
    await sink.write(here.task(), rows(0, 1_234), running)
    expect(await sink.applied?.(here.task())).toBe(true)
    const unread = (async function* () {
      yield* []
      throw new Error('it was read')
    })()
    await sink.write(here.task({ attempt: 'b' }), unread, running)
    expect(await here.ids()).toEqual(numbers(0, 1_234))
  })

  test('of which some chunks are in goes on behind them, by whomever and however they cut it', async () => {
    const here = new StreamOutput()
    const first = await here.start(here.sink())
    await expect(first.write(here.task(), dyingRows(3_000), running)).rejects.toThrow('the process died')
    const before = await here.ids()
    expect(before.length).toBeGreaterThan(0)
    expect(before).toEqual(numbers(0, before.length))

    const next = await here.start(here.sink(), { epoch: 2, owner: 'host:2' })
    expect(await next.applied?.(here.task({ epoch: 2 }))).toBe(false)
    await next.write(here.task({ epoch: 2 }), rows(0, 4_321), running)
    expect(await here.ids()).toEqual(numbers(0, 4_321))
  })

  test('without rows is in too', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    await sink.write(here.task(), rows(0, 0), running)
    expect(await sink.applied?.(here.task())).toBe(true)
  })

  test('that comes with another range is a conflict and never a skip', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    await sink.write(here.task(), rows(0, 10), running)
    const other = here.task({ range: { untilOffset: 11 } })
    for (const call of [sink.applied?.(other), sink.write(other, rows(0, 11), running)]) {
      await expect(call).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('as orders/0 [0, 10)') })
    }
  })

  test('whose twin writes at the same time is in once', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    const twin = await here.start(here.sink())
    const ended = await Promise.allSettled(
      [sink, twin].map((each, n) => each.write(here.task({ attempt: `${n}` }), rows(0, 5_000), running)),
    )
    for (const end of ended) if (end.status === 'rejected') expect(end.reason).toMatchObject({ retryable: true })
    // The one that was told to come again later finds what the other left.
    await sink.write(here.task({ attempt: 'c' }), rows(0, 5_000), running)
    expect(await here.ids()).toEqual(numbers(0, 5_000))
  })
})

describe('a fence', () => {
  test('refuses attempts of an older epoch between two chunks: a driver that was paused writes nothing more', async () => {
    const here = new StreamOutput()
    const paused = await here.start(here.sink())
    let isTakenOver = false
    const slow = (async function* () {
      yield* rows(0, 2_000)
      await here.start(here.sink(), { epoch: 2, owner: 'host:2' })
      isTakenOver = true
      yield* rows(2_000, 9_000)
    })()
    await expect(paused.write(here.task(), slow, running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(isTakenOver).toBe(true)
    const left = await here.ids()
    expect(left).toEqual(numbers(0, left.length))
    expect(left.length).toBeLessThanOrEqual(2_000)
  })

  test('refuses a straggler whose twin finished and whose ledger entry is trimmed', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    const straggler = await here.start(here.sink())
    await sink.write(here.task(), rows(0, 10), running)
    await sink.fence?.(here.mark({ lastBegun: 2, lastComplete: 1 }))
    await expect(straggler.write(here.task({ attempt: 'late' }), rows(0, 10), running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await here.ids()).toEqual(numbers(0, 10))
  })

  test('refuses an attempt of a stream that was replaced, also under the epoch of today', async () => {
    const here = new StreamOutput()
    const old = await here.start(here.sink())
    await here.start(here.sink(), { streamId: 'id-2', adopt: true })
    await expect(old.write(here.task(), rows(0, 10), running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await here.ids()).toEqual([])
  })

  test('tells a store that was replaced, rolled back, or granted an epoch twice, and a destination that was rolled back', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink(), { epoch: 3, owner: 'host:3', lastBegun: 5, lastComplete: 4 })
    const raise = (parts: object) => sink.fence?.(here.mark({ epoch: 4, owner: 'host:4', lastBegun: 5, lastComplete: 4, ...parts }))
    await expect(raise({ streamId: 'id-2' })).rejects.toThrow('was replaced')
    await expect(raise({ epoch: 3 })).rejects.toThrow('was granted twice')
    await expect(raise({ epoch: 2 })).rejects.toMatchObject({ code: 'FENCED' })
    await expect(raise({ lastBegun: 4 })).rejects.toThrow('the store was rolled back')
    await sink.write(here.task({ epoch: 3, batchId: 5 }), rows(0, 10), running)
    await expect(raise({ lastComplete: 5, lastWritten: { batchId: 5, tasks: 2 } })).rejects.toThrow('the destination was rolled back')
    await raise({ lastComplete: 5, lastWritten: { batchId: 5, tasks: 1 } })
  })

  test('whose answer was lost is raised again: the ledger that it trimmed is no sign of a destination that was rolled back', async () => {
    await using proxy = await startFaultProxy(services().redis)
    const here = new StreamOutput()
    const sink = await here.start(here.sink(proxy.address))
    await sink.write(here.task(), rows(0, 10), running)
    const next = here.mark({ lastBegun: 2, lastComplete: 1, lastWritten: { batchId: 1, tasks: 1 } })
    // What of the raise is the script differs: it counts the ledger first, and then writes.
    const lost = await proxy.loseNextAnswer(1)
    await expect(sink.fence?.(next)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    expect(lost.disarm()).toBe(true)
    await sink.fence?.(next)
    await sink.write(here.task({ batchId: 2 }), rows(10, 20), running)
    expect(await here.ids()).toEqual(numbers(0, 20))
  })

  test('that finds the destination rolled back within a run names every batch that is missing', async () => {
    const here = new StreamOutput()
    const sink = await here.start(here.sink())
    const client = redisClient()
    const names = (await client.keys(`*${here.stream}*`)).sort()
    await sink.write(here.task(), rows(0, 10), running)
    const kept = await Promise.all(names.map(name => client.dumpBuffer(name)))
    for (const batchId of [2, 3]) {
      await sink.fence?.(here.mark({ lastBegun: batchId, lastComplete: batchId - 1 }))
      await sink.write(here.task({ batchId }), rows(0, 1), running)
    }
    const back = client.multi().del(...names, `${names[0]?.replace(/:fence$/, ':ledger')}`)
    names.forEach((name, at) => void back.restore(name, 0, kept[at] ?? ''))
    await back.exec()
    const next = here.mark({ lastBegun: 4, lastComplete: 3, lastWritten: { batchId: 3, tasks: 1 } })
    await expect(sink.fence?.(next)).rejects.toMatchObject({ code: 'CONFLICT', details: { missing: { from: 1, to: 3 } } })
  })

  test('that two drivers raise at once ends with the higher epoch, whoever asked last', async () => {
    const here = new StreamOutput()
    const sinks = await Promise.all([1, 2, 3, 4, 5].map(async () => here.sink()))
    const ended = await Promise.allSettled(
      sinks.map(async (sink, n) => {
        await sink.prepare?.(here.context())
        await sink.fence?.(here.mark({ epoch: n + 1, owner: `host:${n + 1}` }))
      }),
    )
    for (const end of ended) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'FENCED' })
    const next = here.sink()
    await expect(here.start(next, { epoch: 4, owner: 'host:4' })).rejects.toMatchObject({ code: 'FENCED' })
    for (const sink of sinks) await sink.close?.()
  })
})

describe('a server', () => {
  test('whose answer is lost has written once: the attempt after it finds that', async () => {
    const here = new StreamOutput()
    await using proxy = await startFaultProxy(services().redis)
    const sink = await here.start(here.sink(proxy.address))
    await proxy.loseNextAnswer(1)
    await expect(sink.write(here.task(), rows(0, 100), running)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    await sink.write(here.task({ attempt: 'b' }), rows(0, 100), running)
    expect(await here.ids()).toEqual(numbers(0, 100))
  })

  test('that is killed with -9 in the middle and starts again has each row once when the task is tried again', async () => {
    await using server = await startRedis({ own: true })
    const here = new StreamOutput()
    const sink = await here.start(here.sink(server.address))
    const interrupted = (async function* () {
      yield* rows(0, 3_000)
      await server.kill()
      yield* rows(3_000, 6_000)
    })()
    await expect(sink.write(here.task(), interrupted, running)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    await server.start()
    await sink.write(here.task({ attempt: 'b' }), rows(0, 6_000), running)
    expect(await here.ids(server.address)).toEqual(numbers(0, 6_000))
  })

  test('that evicts keys is refused, for it would forget what was written', async () => {
    await using server = await startRedis({ own: true, args: ['--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru', '--save', ''] })
    const here = new StreamOutput()
    await expect(here.start(here.sink(server.address))).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('Set maxmemory-policy to noeviction'),
    })
  })

  test('that cannot be reached is named, and its password is not', async () => {
    const here = new StreamOutput()
    const sink = redisSink<Row>({ url: 'redis://:hunter2@127.0.0.1:1', stream: { key: 'a' } })
    const refused = { code: 'CONNECTION', message: expect.stringMatching(/^(?!.*hunter2).*127\.0\.0\.1:1/) }
    await expect(sink.prepare?.(here.context())).rejects.toMatchObject(refused)
    await sink.close?.()
  })

  test('that lacks the database of the URL is refused, and nothing is written into another', async () => {
    const here = new StreamOutput()
    const sink = here.sink(`${services().redis}/99`)
    await expect(here.start(sink)).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('has no such database') })
    await expect(sink.write(here.task(), rows(0, 1), running)).rejects.toMatchObject({ code: 'CONFIG' })
    expect(await here.ids()).toEqual([])
  })

  test('whose client the caller has closed is told so', async () => {
    const here = new StreamOutput()
    const client = redisClient()
    await client.quit()
    await waitUntil('the client is closed', async () => client.status === 'end')
    const sink = redisSink<Row>({ client, stream: { key: here.key } })
    await expect(sink.prepare?.(here.context())).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringContaining('was closed'),
    })
  })

  test('that does not let this user write all that is needed is refused at the start, by the command', async () => {
    const redis = redisClient()
    const user = uniqueName('limited')
    await redis.call('acl', 'setuser', user, 'on', '>secret', '~*', '+@all', '-xadd')
    const here = new StreamOutput()
    const { host } = new URL(services().redis)
    await expect(here.start(here.sink(`redis://${user}:secret@${host}`))).rejects.toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(/^(?!.*secret).*xadd/i),
    })
    await redis.call('acl', 'deluser', user)
  })
})
