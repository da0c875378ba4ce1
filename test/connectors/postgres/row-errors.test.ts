import { beforeAll, describe, expect, test } from 'vitest'
import { makePlace, manyRows, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Order = { id: unknown; total?: unknown }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

describe('a row that the table refuses is named', () => {
  test('by what its NOT NULL column lacks', async () => {
    await place.query('create table lacking (id int8 not null, total float8)')
    const sink = await readySink<Order>(place, { table: 'lacking' }, 'lacking')
    await expect(sink.write(task({ output: 'lacking' }), rowsOf<Order>([{ id: 1 }, { id: null }]), running)).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(
        /Row 2 of orders\/3 \[120, 180\) \(batch 7, output lacking\), column id, .* needs a value: the column takes no NULL/,
      ),
      details: { row: 2, column: 'id' },
    })
    await expect(sink.write(task({ output: 'lacking' }), rowsOf<unknown>([5]) as never, running)).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/Row 1 .* it is 5.* needs an object/),
    })
  })

  test.each([
    ['in a small task', 50, 37],
    ['in a streamed task', 40_000, 31_234],
  ])('by a unique key that is there already, %s', async (_, count, at) => {
    const table = `taken_${count}`
    await place.query(`create table ${table} (id int8 primary key, total float8); insert into ${table} values (${at})`)
    const sink = await readySink<Order>(place, { table, columns: ['id', 'total'] }, table)
    await expect(
      sink.write(
        task({ output: table }),
        manyRows<Order>(count, id => ({ id })),
        running,
      ),
    ).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(new RegExp(`Row ${at + 1} of .*column id, .*duplicate key.*Key \\(id\\)=\\(${at}\\) already exists`)),
      details: { row: at + 1, column: 'id' },
    })
    expect(await place.query(`select count(*)::int from ${table}`)).toEqual([{ count: 1 }])
  })

  test('by a unique key that an earlier row of the task has', async () => {
    await place.query('create table twice (id int8 primary key)')
    const sink = await readySink<Order>(place, { table: 'twice', columns: ['id'] }, 'twice')
    await expect(sink.write(task({ output: 'twice' }), rowsOf<Order>([{ id: 5 }, { id: 1 }, { id: 5 }]), running)).rejects.toMatchObject({
      details: { row: 3, column: 'id' },
    })
  })

  test('by a check, a foreign key, also a deferred one, and a trigger', async () => {
    await place.query(`
      create table parents (id int8 primary key); insert into parents values (1);
      create table checked (id int8, total float8 check (total > 0));
      create table child (id int8 references parents);
      create table late_child (id int8 references parents deferrable initially deferred);
      create table guarded (id int8);
      create function refuse() returns trigger language plpgsql as $$ begin if new.id = 2 then raise 'no twos'; end if; return new; end $$;
      create trigger guard before insert on guarded for each row execute function refuse();
    `)
    const rows: Order[] = [
      { id: 1, total: 1 },
      { id: 2, total: -1 },
      { id: 1, total: 1 },
    ]
    for (const [table, message] of [
      ['checked', /violates check constraint/],
      ['child', /column id, .*violates foreign key/],
      ['late_child', /column id, .*violates foreign key/],
      ['guarded', /no twos/],
    ] as const) {
      const columns = table === 'checked' ? (['id', 'total'] as const) : (['id'] as const)
      const sink = await readySink<Order>(place, { table, columns }, table)
      await expect(sink.write(task({ output: table }), rowsOf(rows), running), table).rejects.toMatchObject({
        code: 'RECORD',
        message: expect.stringMatching(message),
        details: { row: 2 },
      })
      await sink.write(task({ output: table }), rowsOf(rows.slice(0, 1)), running)
    }
  })

  test('without its value where the column may hold a secret', async () => {
    await place.query('create table secrets (password int4)')
    const sink = await readySink<{ password: unknown }>(place, { table: 'secrets' }, 'secrets')
    const error = await sink.write(task({ output: 'secrets' }), rowsOf([{ password: 'hunter2' }]), running).catch(thrown => thrown)
    expect(error).toMatchObject({ code: 'RECORD', message: expect.stringMatching(/a string that is not shown/) })
    expect(String(error)).not.toContain('hunter2')
  })
})
