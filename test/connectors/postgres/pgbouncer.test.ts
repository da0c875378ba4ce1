import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Service } from '../../support/services/service.ts'
import { findPgbouncer, startPgbouncer } from '../../support/services/start-pgbouncer.ts'
import { services } from '../../support/services.ts'
import { ledgerOf, makePlace, manyRows, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: number }

const isInstalled = (await findPgbouncer()) !== undefined
if (!isInstalled) console.warn('PgBouncer is not installed, so nothing is tested through it here. Install the package pgbouncer.')

describe.skipIf(!isInstalled)('through PgBouncer in transaction mode', () => {
  let pgbouncer: Service
  let place: Place
  beforeAll(async () => {
    pgbouncer = await startPgbouncer(services().postgres)
    place = await makePlace()
  })
  afterAll(() => pgbouncer?.close())

  test.each([
    ['appends', {}],
    ['upserts', { key: 'id' as const }],
  ])('%s of small and large tasks are in once, whichever sessions they get', async (kind, options) => {
    await place.query(`create table ${kind} (id int8 ${kind === 'upserts' ? 'primary key' : ''})`)
    const connectionString = pgbouncer.address
    const sink = await readySink<Order>(place, { connectionString, table: kind, columns: ['id'], ...options }, kind)
    const small = (index: number) => sink.write(task({ output: kind, index }), rowsOf([{ id: index }]), running)
    const large = (index: number) =>
      sink.write(
        task({ output: kind, index }),
        manyRows(30_000, id => ({ id: index * 100_000 + id })),
        running,
      )
    await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 7 === 6 ? large(index) : small(index))))
    await Promise.all(Array.from({ length: 20 }, (_, index) => small(index)))
    expect(await place.query(`select count(*)::int, count(distinct id)::int as ids from ${kind}`)).toEqual([{ count: 60_018, ids: 60_018 }])
    expect((await ledgerOf(place)).filter(({ output }) => output === kind)).toHaveLength(20)
  })

  test('the fence ends an attempt that is under way', async () => {
    await place.query('create table under_way (id int8)')
    const sink = await readySink<Order>(place, { connectionString: pgbouncer.address, table: 'under_way', columns: ['id'] }, 'under_way')
    async function* rows() {
      yield* manyRows(40_000, id => ({ id }))
      await sink.fence?.(mark({ output: 'under_way', epoch: 2, owner: 'host:2:b' }))
      yield [{ id: 1 }]
    }
    await expect(sink.write(task({ output: 'under_way' }), rows(), running)).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
    expect(await place.query('select * from under_way')).toEqual([])
  })
})
