import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { context, ledgerOf, makePlace, manyRows, mark, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

type Event = { kind: string; id: number; v?: number | null; gone?: boolean; text?: string }

let place: Place
beforeAll(async () => {
  place = await makePlace()
})

/** The name of the table of a kind, `<prefix>_<kind>`. */
const by =
  (prefix: string) =>
  ({ kind }: Event): string =>
    `${place.schema}.${prefix}_${kind}`

async function tables(prefix: string, kinds: readonly string[], ddl = 'id int8, v int8'): Promise<void> {
  for (const kind of kinds) await place.query(`create table ${prefix}_${kind} (${ddl})`)
}

function idsIn(table: string): Promise<number[]> {
  return place.query<{ id: number }>(`select id::int from ${table} order by id`).then(rows => rows.map(({ id }) => id))
}

const columns = ['id', 'v'] as const

describe('rows whose table is a function of them', () => {
  test('go to their tables once, with one ledger row', async () => {
    await tables('mixed', ['a', 'b'])
    await place.query('create table mixed_c (id int8 primary key, v int8)')
    const sink = await readySink<Event>(place, { table: by('mixed'), columns }, 'mixed')
    const rows = Array.from({ length: 300 }, (_, id): Event => ({ kind: 'abc'.charAt(id % 3), id }))
    await sink.write(task({ output: 'mixed' }), rowsOf(rows.slice(0, 100), [], rows.slice(100)), running)
    await sink.write(task({ output: 'mixed' }), rowsOf(rows), running)
    for (const [at, kind] of ['a', 'b', 'c'].entries()) {
      expect(await idsIn(`mixed_${kind}`)).toEqual(Array.from({ length: 100 }, (_, n) => n * 3 + at))
    }
    expect((await ledgerOf(place)).filter(({ output }) => output === 'mixed')).toHaveLength(1)
  })

  test('are all there where they are more than the buffers hold, and tables come up on the way', async () => {
    await tables('many', ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'], 'id int8, text text')
    const sink = await readySink<Event>(place, { table: by('many'), columns: ['id', 'text'] }, 'many')
    const count = 60_000
    const text = 'x'.repeat(400)
    // Table 9 comes late, when others are under way; table 0 has most of the rows.
    const kindOf = (id: number) => (id < count / 2 ? (id % 2 === 0 ? 0 : id % 9) : id % 10)
    await sink.write(
      task({ output: 'many' }),
      manyRows(count, id => ({ kind: `${kindOf(id)}`, id, text })),
      running,
    )
    for (let kind = 0; kind < 10; kind++) {
      const wanted = Array.from({ length: count }, (_, id) => id).filter(id => kindOf(id) === kind)
      expect(await idsIn(`many_${kind}`), `table ${kind}`).toEqual(wanted)
    }
  })

  test('of an empty task leave its ledger row', async () => {
    const sink = await readySink<Event>(place, { table: by('none'), columns }, 'none')
    await sink.write(task({ output: 'none' }), rowsOf<Event>(), running)
    expect(await sink.applied?.(task({ output: 'none' }))).toBe(true)
  })

  test('with a key replace each other in each table; the last row of a key counts, and a row deletes', async () => {
    await tables('keyed', ['a', 'b'], 'id int8 primary key, v int8')
    const sink = await readySink<Event>(
      place,
      { table: by('keyed'), columns, key: 'id', version: 'v', deleteWhen: row => row.gone },
      'keyed',
    )
    expect(sink.ordering).toBe('partition')
    const write = (index: number, rows: readonly Event[]) => sink.write(task({ output: 'keyed', index }), rowsOf(rows), running)
    await write(0, [
      { kind: 'a', id: 1, v: 1 },
      { kind: 'b', id: 1, v: 5 },
      { kind: 'a', id: 1, v: 2 },
      { kind: 'b', id: 2, v: 1 },
      { kind: 'b', id: 1, v: 4 },
    ])
    await write(1, [
      { kind: 'b', id: 2, v: 2, gone: true },
      { kind: 'a', id: 1, v: 1 },
      { kind: 'a', id: 3, v: 1 },
    ])
    expect(await place.query('select id::int, v::int from keyed_a order by id')).toEqual([
      { id: 1, v: 2 },
      { id: 3, v: 1 },
    ])
    expect(await place.query('select id::int, v::int from keyed_b order by id')).toEqual([{ id: 1, v: 5 }])
  })

  test('of many tasks side by side over the same keys of several tables all get in', async () => {
    await tables('side', ['a', 'b', 'c'], 'id int8 primary key, v int8')
    const sink = await readySink<Event>(place, { table: by('side'), columns, key: 'id' }, 'side')
    const rows = ['a', 'b', 'c'].flatMap(kind => [1, 2, 3].map((id): Event => ({ kind, id })))
    const write = (index: number) =>
      sink.write(task({ output: 'side', index }), rowsOf(index % 2 === 0 ? rows : rows.toReversed()), running)
    await Promise.all(Array.from({ length: 20 }, (_, index) => write(index)))
    for (const kind of ['a', 'b', 'c']) expect(await idsIn(`side_${kind}`)).toEqual([1, 2, 3])
  })

  test('are there once when two attempts run side by side, and both resolve', async () => {
    await tables('twins', ['a'])
    await place.query('create table twins_b (id int8 primary key, v int8)')
    const options = { table: by('twins'), columns }
    const one = await readySink<Event>(place, options, 'twins')
    const other = await place.sink<Event>(options)
    await other.open?.(context({ output: 'twins' }))
    const rows = Array.from({ length: 3000 }, (_, id): Event => ({ kind: 'ab'.charAt(id % 2), id }))
    await Promise.all([one, other].map((sink, at) => sink.write(task({ output: 'twins', attempt: `${at}` }), rowsOf(rows), running)))
    expect((await idsIn('twins_a')).length + (await idsIn('twins_b')).length).toBe(3000)
    await one.fence?.(mark({ output: 'twins', lastBegun: 8, lastComplete: 7 }))
    await expect(other.write(task({ output: 'twins' }), rowsOf(rows), running)).rejects.toMatchObject({ code: 'FENCED' })
  })

  test('that name one table in two ways are there once', async () => {
    await place.query('create table alias (id int8 primary key, v int8)')
    const sink = await readySink<Event>(
      place,
      { table: ({ id }) => (id % 2 === 0 ? `${place.schema}.alias` : `"${place.schema}"."alias"`), columns },
      'alias',
    )
    await sink.write(task({ output: 'alias' }), rowsOf([1, 2, 3, 4].map(id => ({ kind: '', id }))), running)
    expect(await idsIn('alias')).toEqual([1, 2, 3, 4])
  })

  test('may refer to rows of each other where the constraint is deferred', async () => {
    await place.query(`
      create table linked_z (id int8 primary key, v int8);
      create table linked_a (id int8 primary key, v int8 references linked_z deferrable initially deferred);
    `)
    const sink = await readySink<Event>(place, { table: by('linked'), columns, key: 'id' }, 'linked')
    const rows: Event[] = [
      { kind: 'a', id: 1, v: 7 },
      { kind: 'z', id: 7 },
    ]
    await sink.write(task({ output: 'linked' }), rowsOf(rows), running)
    expect(await idsIn('linked_a')).toEqual([1])
    await expect(
      sink.write(task({ output: 'linked', index: 1 }), rowsOf<Event>([{ kind: 'a', id: 2, v: 8 }]), running),
    ).rejects.toMatchObject({ code: 'RECORD', message: expect.stringMatching(/A row of .*violates foreign key.*\(v\)=\(8\)/) })
  })

  test('leave no temporary table on their connection', async () => {
    await tables('temporary', ['a'], 'id int8 primary key, v int8')
    const pool = new pg.Pool({ connectionString: place.connectionString, max: 1 })
    const sink = postgresSink<Event>({ pool, schema: place.schema, table: by('temporary'), columns })
    await sink.prepare?.(context({ output: 'temporary' }))
    await sink.open?.(context({ output: 'temporary' }))
    await sink.fence?.(mark({ output: 'temporary' }))
    await sink.write(task({ output: 'temporary' }), rowsOf<Event>([{ kind: 'a', id: 1 }]), running)
    const left = await pool.query("select relname from pg_class where relnamespace = pg_my_temp_schema() and relkind = 'r'")
    expect(left.rows).toEqual([])
    await sink.close?.()
    await pool.end()
    expect(await idsIn('temporary_a')).toEqual([1])
  })
})

describe('a row is named, and nothing of its task is in,', () => {
  const good = (kind: string, id: number): Event => ({ kind, id })
  const written = (sink: Sink<Event>, output: string, rows: readonly Event[]) => sink.write(task({ output }), rowsOf(rows), running)

  test('where its table does not exist, with one that would fit; and it is found once it was made', async () => {
    await tables('unknown', ['a'])
    const sink = await readySink<Event>(place, { table: by('unknown'), columns }, 'unknown')
    const rows = [good('a', 1), good('a', 2), good('b', 3)]
    await expect(written(sink, 'unknown', rows)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(
        /there is no table t_\w+\.unknown_b[\s\S]*create table "t_\w+"\."unknown_b" \([\s\S]*Row 3 of orders\/3 \[120, 180\) \(batch 7, output unknown\) is the first/,
      ),
      details: { row: 3, table: `${place.schema}.unknown_b`, topic: 'orders', fromOffset: 120 },
    })
    expect(await idsIn('unknown_a')).toEqual([])
    await tables('unknown', ['b'])
    await written(sink, 'unknown', rows)
    expect(await idsIn('unknown_b')).toEqual([3])
  })

  test('also where rows before it are under way to the server', async () => {
    await tables('late', ['a'], 'id int8, text text')
    const sink = await readySink<Event>(place, { table: by('late'), columns: ['id', 'text'] }, 'late')
    const count = 20_000
    const rows = manyRows(count, (id): Event => ({ kind: id === count - 1 ? 'b' : 'a', id, text: 'x'.repeat(200) }))
    await expect(sink.write(task({ output: 'late' }), rows, running)).rejects.toMatchObject({ code: 'CONFIG', details: { row: count } })
    expect(await idsIn('late_a')).toEqual([])
    expect(await sink.applied?.(task({ output: 'late' }))).toBe(false)
  })

  test('where its table lacks a column, a unique index on the key, or a right', async () => {
    await place.query('create table lacking_a (id int8, v int8); create table lacking_b (id int8)')
    const sink = await readySink<Event>(place, { table: by('lacking'), columns }, 'lacking')
    await expect(written(sink, 'lacking', [good('a', 1), good('b', 2)])).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/lacking_b has no column v[\s\S]*Row 2 of/),
    })
    const keyed = await readySink<Event>(place, { table: by('lacking'), columns, key: 'id' }, 'lacking_key')
    await expect(written(keyed, 'lacking_key', [good('a', 1)])).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/no unique index on just id[\s\S]*Row 1 of/),
    })
    const role = `${place.schema}_reader`
    const url = new URL(place.connectionString)
    ;[url.username, url.password] = [role, 'pw']
    await place.query(`
      create role ${role} login password 'pw'; grant usage on schema ${place.schema} to ${role}; grant insert on lacking_a to ${role};
      grant select, insert, update, delete on all tables in schema ${place.schema} to ${role}; revoke insert on lacking_b from ${role};
    `)
    const [plain] = [await place.sink<Event>({ connectionString: url.href, table: by('lacking'), columns: ['id'] })]
    try {
      await plain.open?.(context({ output: 'lacking' }))
      await expect(written(plain, 'lacking', [good('a', 1), good('b', 2)])).rejects.toMatchObject({
        code: 'AUTH',
        message: expect.stringMatching(/lacks INSERT on table .*lacking_b\. Run grant INSERT[\s\S]*Row 2 of/),
      })
    } finally {
      await plain.close?.()
      await place.query(`drop owned by ${role}; drop role ${role}`)
    }
    expect(await idsIn('lacking_a')).toEqual([])
  })

  test.each([
    ['no text', () => undefined as never, 'RECORD', /Row 1 of .* gave undefined for it, and must give a table's name/],
    ['an empty text', () => '', 'RECORD', /Row 1 of .* has no table/],
    ['what is no name', () => 'a.b.c', 'CONFIG', /table is "a\.b\.c": expected the name of a table[\s\S]*Row 1 of/],
  ])('where the function gives %s', async (_, table, code, message) => {
    const sink = await readySink<Event>(place, { table, columns }, 'no_route')
    await expect(written(sink, 'no_route', [good('a', 1)])).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('where it is the first of one table too many', async () => {
    await tables('limit', ['a', 'b', 'c'])
    const sink = await readySink<Event>(place, { table: by('limit'), columns, maxTables: 2 }, 'limit')
    await expect(written(sink, 'limit', [good('a', 1), good('b', 2), good('a', 3), good('c', 4)])).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/more than 2 tables\. Raise maxTables[\s\S]*Row 4 of/),
    })
    await written(sink, 'limit', [good('a', 1), good('b', 2)])
    expect(await idsIn('limit_b')).toEqual([2])
  })

  test('where it cannot be encoded, with its table', async () => {
    await tables('encode', ['a', 'b'])
    const sink = await readySink<Event>(place, { table: by('encode'), columns }, 'encode')
    await expect(written(sink, 'encode', [good('a', 1), good('b', 2), { kind: 'a', id: 'three' as never }])).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/Row 3 of .*table t_\w+\.encode_a, column id, cannot be written/),
      details: { row: 3, column: 'id', table: `${place.schema}.encode_a` },
    })
  })

  test.each([
    ['a small task', 3_000, ''],
    ['a streamed task', 30_000, 'x'.repeat(200)],
  ])('where the server refuses it by a unique key, in %s', async (_, count, text) => {
    const prefix = `taken${count}`
    await tables(prefix, ['0'], 'id int8, text text')
    await tables(prefix, ['1', '2'], 'id int8 primary key, text text')
    const taken = Math.floor(count / 3) * 2 + 1
    const at = taken - ((taken - 2) % 3)
    await place.query(`insert into ${prefix}_2 values (${at})`)
    const sink = await readySink<Event>(place, { table: by(prefix), columns: ['id', 'text'] }, prefix)
    await expect(
      sink.write(
        task({ output: prefix }),
        manyRows(count, id => ({ kind: `${id % 3}`, id, text })),
        running,
      ),
    ).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/duplicate key/),
      details: { row: at + 1, column: 'id', table: `${place.schema}.${prefix}_2` },
    })
    for (const kind of [0, 1]) expect(await idsIn(`${prefix}_${kind}`)).toEqual([])
  })

  test.each([
    ['a small task', 300, ''],
    ['a streamed task', 30_000, 'x'.repeat(200)],
  ])('where the server refuses it inside a COPY, in %s', async (_, count, text) => {
    const prefix = `checked${count}`
    const at = count - 7 - ((count - 7) % 2)
    await tables(prefix, ['0', '1'], `id int8 check (id <> ${at}), text text`)
    const sink = await readySink<Event>(place, { table: by(prefix), columns: ['id', 'text'] }, prefix)
    await expect(
      sink.write(
        task({ output: prefix }),
        manyRows(count, id => ({ kind: `${id % 2}`, id, text })),
        running,
      ),
    ).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringMatching(/violates check constraint/),
      details: { row: at + 1, table: `${place.schema}.${prefix}_0` },
    })
    expect(await idsIn(`${prefix}_1`)).toEqual([])
  })
})
