import { beforeAll, describe, expect, test } from 'vitest'
import { startFaultProxy } from '../../support/services/fault-proxy.ts'
import { makePlace, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: unknown }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

async function sinkOf(table: string) {
  await place.query(`create table ${table} (id int8)`)
  return readySink<Order>(place, { table, columns: ['id'] }, table)
}

/** The transactions that wrote the ledger rows of an output, and how many rows each. */
async function transactions(output: string): Promise<number[]> {
  const rows = await place.query<{ count: number }>(
    'select count(*)::int from sink_ledger where output = $1 group by xmin order by min(task_index)',
    [output],
  )
  return rows.map(({ count }) => count)
}

describe('small tasks of one batch', () => {
  test('that come while a transaction is under way share the next one, each with its ledger row', async () => {
    const sink = await sinkOf('grouped')
    const write = (index: number) => sink.write(task({ output: 'grouped', index }), rowsOf(index % 5 === 0 ? [] : [{ id: index }]), running)
    await Promise.all(Array.from({ length: 40 }, (_, index) => write(index)))
    const counts = await transactions('grouped')
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(40)
    expect(counts.length).toBeLessThan(20)
    expect(await place.query('select count(*)::int, count(distinct id)::int as ids from grouped')).toEqual([{ count: 32, ids: 32 }])
  })

  test('fail each with its own error, and the others are in', async () => {
    await place.query('create table picky (id int8 primary key)')
    const sink = await readySink<Order>(place, { table: 'picky', columns: ['id'] }, 'picky')
    await sink.write(task({ output: 'picky', index: 99 }), rowsOf([{ id: 5 }]), running)
    const write = (index: number) =>
      sink.write(task({ output: 'picky', index, range: { partition: index } }), rowsOf([{ id: 100 + index }, { id: index }]), running)
    const ended = await Promise.allSettled(Array.from({ length: 10 }, (_, index) => write(index)))
    expect(ended.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, (_, index) => (index === 5 ? 'rejected' : 'fulfilled')))
    expect(ended[5]).toMatchObject({ reason: { code: 'RECORD', details: { row: 2, column: 'id', partition: 5 } } })
    expect(await place.query('select count(*)::int from picky')).toEqual([{ count: 19 }])
  })

  test('of which one is applied already add only the others', async () => {
    const sink = await sinkOf('partly')
    const write = (index: number) => sink.write(task({ output: 'partly', index }), rowsOf([{ id: index }]), running)
    await write(3)
    await Promise.all(Array.from({ length: 6 }, (_, index) => write(index)))
    expect(await place.query('select id::int from partly order by id')).toEqual([0, 1, 2, 3, 4, 5].map(id => ({ id })))
  })

  test('that are twins of one task add its rows once', async () => {
    const sink = await sinkOf('twins')
    await Promise.all(Array.from({ length: 8 }, () => sink.write(task({ output: 'twins' }), rowsOf([{ id: 1 }]), running)))
    expect(await place.query('select id::int from twins')).toEqual([{ id: 1 }])
  })

  test('of another epoch or batch are judged by themselves', async () => {
    const sink = await sinkOf('mixed')
    const ended = await Promise.allSettled(
      [{}, { epoch: 0, index: 2 }, { batchId: 6, index: 3 }, { index: 1 }].map(parts =>
        sink.write(task({ output: 'mixed', ...parts }), rowsOf([{ id: 1 }]), running),
      ),
    )
    expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
  })

  test('leave the queue when they are aborted, and keep nobody waiting', async () => {
    const sink = await sinkOf('aborted')
    const abort = new AbortController()
    const first = sink.write(task({ output: 'aborted' }), rowsOf([{ id: 0 }]), running)
    const aborted = sink.write(task({ output: 'aborted', index: 1 }), rowsOf([{ id: 1 }]), { ...running, signal: abort.signal })
    abort.abort(new Error('stopped'))
    await expect(aborted).rejects.toThrow('stopped')
    await first
    await sink.write(task({ output: 'aborted', index: 2 }), rowsOf([{ id: 2 }]), running)
    expect(await place.query('select id::int from aborted where id <> 1 order by id')).toEqual([{ id: 0 }, { id: 2 }])
  })
  test('whose connection dies without a word hold nobody up once all of them were aborted', async () => {
    await place.query('create table hole (id int8)')
    await using proxy = await startFaultProxy(place.connectionString)
    const sink = await readySink<Order>(place, { connectionString: proxy.address, table: 'hole', columns: ['id'] }, 'hole')
    const write = (index: number, signal: AbortSignal) =>
      sink.write(task({ output: 'hole', index }), rowsOf([{ id: index }]), { ...running, signal })
    await write(0, running.signal)
    proxy.hold()
    await expect(write(1, AbortSignal.timeout(500))).rejects.toThrow('timeout')
    proxy.release()
    // What was held back arrives after all, at the latest now: whether it is in or not, it is in once in the end.
    await Promise.all([write(1, running.signal), write(2, running.signal)])
    expect(await place.query('select id::int from hole order by id')).toEqual([0, 1, 2].map(id => ({ id })))
    proxy.hold()
    await expect(write(3, AbortSignal.timeout(500))).rejects.toThrow('timeout')
    // A pool ends only when nobody has a connection of it.
    await sink.close?.()
  })
})
