import { beforeAll, describe, expect, test } from 'vitest'
import type { Sink } from '../../../src/core/sink.ts'
import { makePlace, type Place, readySink, rowsOf, running, task } from './postgres-task.ts'

let place: Place
let made = 0
beforeAll(async () => {
  place = await makePlace()
  await place.query("create type mood as enum ('sad', 'ok', '😀'); create domain positive as int4 check (value > 0)")
})

async function sinkOf(type: string): Promise<{ table: string; sink: Sink<{ v: unknown }>; output: string }> {
  made += 1
  const table = `types_${made}`
  await place.query(`create table ${table} (at serial, v ${type})`)
  return { table, output: table, sink: await readySink<{ v: unknown }>(place, { table, columns: ['v'] }, table) }
}

/** What the server has of values, as it prints them. */
async function written(type: string, values: readonly unknown[]): Promise<(string | null)[]> {
  const { table, sink, output } = await sinkOf(type)
  await sink.write(task({ output }), rowsOf(values.map(v => ({ v }))), running)
  const rows = await place.query<{ v: string | null }>(`select v::text as v from ${table} order by at`)
  return rows.map(({ v }) => v)
}

async function refusal(type: string, value: unknown): Promise<unknown> {
  const { table, sink, output } = await sinkOf(type)
  const error = await sink.write(task({ output }), rowsOf([{ v: null }, { v: value }]), running).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(await place.query(`select * from ${table}`)).toEqual([])
  return error
}

const MIN_8 = -(2n ** 63n)
const MAX_8 = 2n ** 63n - 1n
const TOKYO = { v: 'Asia/Tokyo' }

describe('values come back as they were', () => {
  test.each<[string, readonly unknown[], readonly (string | null)[]]>([
    ['int2', [-32768, 32767, '12', 7n, null, undefined], ['-32768', '32767', '12', '7', null, null]],
    ['int4', [-2147483648, 2147483647, '-5', 0, -0], ['-2147483648', '2147483647', '-5', '0', '0']],
    [
      'int8',
      [MIN_8, MAX_8, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, -1, -4294967296, '+9007199254740993'],
      ['-9223372036854775808', '9223372036854775807', '9007199254740991', '-9007199254740991', '-1', '-4294967296', '9007199254740993'],
    ],
    ['float4', [1.5, NaN, Infinity, -Infinity, '0.25'], ['1.5', 'NaN', 'Infinity', '-Infinity', '0.25']],
    [
      'float8',
      [0.1, Number.MAX_VALUE, 5e-324, NaN, Infinity, -Infinity, -0, '1e3', 3n],
      ['0.1', '1.7976931348623157e+308', '5e-324', 'NaN', 'Infinity', '-Infinity', '-0', '1000', '3'],
    ],
    [
      'numeric',
      [0, 12.34, -0.001, 1e21, 1e-7, 99999999.9999, 100000000, 0.0001, '123456789012345678901234567890.000100', MAX_8, 'NaN', 0.1 + 0.2],
      [
        ...['0', '12.34', '-0.001', '1000000000000000000000', '0.0000001', '99999999.9999', '100000000', '0.0001'],
        ...['123456789012345678901234567890.000100', '9223372036854775807', 'NaN', '0.30000000000000004'],
      ],
    ],
    ['numeric(10,2)', [1, 2.345, -7.5], ['1.00', '2.35', '-7.50']],
    [
      'text',
      ['', '😀', 'ä'.repeat(5000), 'a\nb\\c\t', `${'x'.repeat(31)}é`],
      ['', '😀', 'ä'.repeat(5000), 'a\nb\\c\t', `${'x'.repeat(31)}é`],
    ],
    ['varchar(3)', ['abc', 'é😀!'], ['abc', 'é😀!']],
    ['char(3)', ['ab'], ['ab']],
    ['bool', [true, false], ['true', 'false']],
    ['bytea', [Buffer.from([0, 255]), new Uint8Array(), new Uint8Array([1, 2, 3]).subarray(1)], ['\\x00ff', '\\x', '\\x0203']],
    ['json', [{ a: [1, '😀'] }, 'text', 5, false, null], ['{"a":[1,"😀"]}', '"text"', '5', 'false', null]],
    ['jsonb', [{ a: null }, [], 'text'], ['{"a": null}', '[]', '"text"']],
    [
      'uuid',
      ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'],
      Array(2).fill('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'),
    ],
    [
      'date',
      [new Date(0), '2024-02-29', 86_399_999, '0001-01-01', 'infinity', '-infinity'],
      ['1970-01-01', '2024-02-29', '1970-01-01', '0001-01-01', 'infinity', '-infinity'],
    ],
    ['time', ['12:30', '23:59:59.999999', 1500, '24:00:00'], ['12:30:00', '23:59:59.999999', '00:00:01.5', '24:00:00']],
    [
      'timestamp',
      [new Date(1), '2024-02-29T12:00:00', '2024-02-29T12:00:00+02:00'],
      ['1970-01-01 00:00:00.001', '2024-02-29 12:00:00', '2024-02-29 10:00:00'],
    ],
    ['mood', ['ok', '😀'], ['ok', '😀']],
    ['positive', [1], ['1']],
    [
      'int4[]',
      [
        [1, null, 3],
        [],
        [
          [1, 2],
          [3, 4],
        ],
      ],
      ['{1,NULL,3}', '{}', '{{1,2},{3,4}}'],
    ],
    ['text[]', [['a,b', '"', '']], ['{"a,b","\\"",""}']],
    ['jsonb[]', [[[1, 2], { a: 1 }]], ['{"[1, 2]","{\\"a\\": 1}"}']],
    ['mood[]', [['sad', null]], ['{sad,NULL}']],
    ['inet', ['10.0.0.1', '::1/128'], ['10.0.0.1/32', '::1/128']],
    ['interval', ['1 day 02:00'], ['1 day 02:00:00']],
    ['inet[]', [['10.0.0.1', null]], ['{10.0.0.1,NULL}']],
    ['point', ['(1,2)'], ['(1,2)']],
    ['bit(3)', ['101'], ['101']],
    ['int4range', ['[1,5)'], ['[1,5)']],
  ])('%s', async (type, values, expected) => {
    expect(await written(type, values)).toEqual(expected)
  })

  test('timestamptz, whatever the zone of the session, from the first day of Postgres to the last of Date', async () => {
    const values = [
      new Date('2024-02-29T12:00:00.123Z'),
      '2024-02-29T12:00:00.123456+02:00',
      '2024-02-29 12:00:00-0530',
      new Date(-210_866_803_200_000),
      new Date(8.64e15),
      1_700_000_000_000,
      0.5,
      'infinity',
    ]
    const { table, sink, output } = await sinkOf('timestamptz')
    await sink.write(task({ output }), rowsOf(values.map(v => ({ v }))), running)
    await place.query(`set timezone to '${TOKYO.v}'`)
    const rows = await place.query<{ v: string }>(`select (v at time zone 'UTC')::text as v from ${table} order by at`)
    await place.query('reset timezone')
    expect(rows.map(({ v }) => v)).toEqual([
      ...['2024-02-29 12:00:00.123', '2024-02-29 10:00:00.123456', '2024-02-29 17:30:00', '4714-11-24 00:00:00 BC'],
      ...['275760-09-13 00:00:00', '2023-11-14 22:13:20', '1970-01-01 00:00:00.0005', 'infinity'],
    ])
  })
})

describe('a value that its column cannot take names row, column and the value', () => {
  test.each<[string, unknown, RegExp]>([
    ['int2', 32768, /Row 2 of orders\/3 \[120, 180\) .*column v, .*it is 32768.* needs a whole number within int2/],
    ['int4', 1.5, /it is 1\.5.* needs a whole number for int4/],
    ['int4', '12a', /it is "12a"/],
    ['int8', 2 ** 53, /beyond 2\^53 as a BigInt or as text/],
    ['int8', MAX_8 + 1n, /within int8/],
    ['float4', 1e300, /within float4/],
    ['float8', 'abc', /needs a number/],
    ['numeric', {}, /it is an object/],
    ['numeric', '1_000', /it is "1_000"/],
    ['text', 5, /it is 5.* needs text/],
    ['text', 'a\0b', /NUL character/],
    ['text', `${'x'.repeat(100)}\0`, /NUL character/],
    ['bool', 'true', /needs true or false/],
    ['bytea', 'abc', /Buffer or a Uint8Array/],
    ['json', 5n, /what JSON can say/],
    ['uuid', 'abc', /the text of a UUID/],
    ['date', '2023-02-29', /it is "2023-02-29"/],
    ['date', new Date(Number.NaN), /needs a Date/],
    ['timestamptz', '2024-02-29T12:00:00', /with its zone/],
    ['timestamptz', Infinity, /milliseconds since 1970/],
    ['time', '25:00', /such as 12:30/],
    ['int4[]', [[1], [2, 3]], /all of one length/],
    ['int4[]', 5, /needs a list/],
    // From here on the server says so.
    ['varchar(2)', 'abc', /Row 2 of .*column v, .*too long/],
    ['mood', 'angry', /Row 2 of .*column v, .*angry/],
    ['positive', -1, /Row 2 of .*positive/],
    ['numeric(3,1)', 1000, /Row 2 of .*overflow/],
    ['timestamptz', new Date(-8.64e15), /Row 2 of .*out of range/],
    ['jsonb', 'a\0b', /Row 2 of .*column v/],
    ['inet', '300.0.0.1', /Row 2 of .*column v, .*inet/],
    ['bit(3)', '1010', /Row 2 of .*bit string length 4/],
  ])('%s: %s', async (type, value, message) => {
    expect(await refusal(type, value)).toMatchObject({
      code: 'RECORD',
      retryable: false,
      message: expect.stringMatching(message),
      details: expect.objectContaining({ row: 2, topic: 'orders', partition: 3 }),
    })
  })
})
