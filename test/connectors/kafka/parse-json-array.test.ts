import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { json } from '../../../connectors/kafka/index.ts'
import { parseJsonArray } from '../../../connectors/kafka/parse-json-array.ts'
import type { KafkaRecord } from '../../../connectors/kafka/record.ts'
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { collectingSink, memorySource } from '../../../src/testing/index.ts'

function records(values: readonly (string | Uint8Array | null)[]): KafkaRecord[] {
  return values.map((value, offset) => ({
    ...{ topic: 'orders', partition: 0, offset, timestamp: 0, key: null, headers: [] },
    value: value === null ? null : Buffer.from(value as string),
  }))
}

/** What parsing one by one gives, or undefined where one of them is no JSON. */
function oneByOne(all: readonly KafkaRecord[]): unknown[] | undefined {
  const parse = json<unknown>()
  try {
    return all.map(record => parse(record))
  } catch {
    return undefined
  }
}

describe('values that are parsed together', () => {
  test('are what each is by itself, whatever they are', () => {
    fc.assert(
      fc.property(fc.array(fc.json(), { minLength: 2 }), values => {
        expect(parseJsonArray(records(values))).toEqual(oneByOne(records(values)))
      }),
    )
  })

  test('are never anything where one of them is no JSON: pieces that are JSON only together are not taken for values', () => {
    const pieces = fc.constantFrom(
      '1',
      '1,2',
      '[3',
      '4]',
      '{"a":1},{"b":2}',
      '{"x":[{}',
      '{}]}',
      '"',
      ',',
      '',
      ' ',
      '[',
      ']',
      '{"a":',
      '1}',
      'null',
      '\\',
      '"\\',
    )
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 2, maxLength: 8 }), values => {
        const together = parseJsonArray(records(values))
        if (together !== undefined) expect(together).toEqual(oneByOne(records(values)))
        if (oneByOne(records(values)) === undefined) expect(together).toBeUndefined()
      }),
      { numRuns: 5_000 },
    )
  })

  test('are never objects where one of them is none: in pieces of objects without arrays too', () => {
    const pieces = fc.constantFrom(
      ...[
        '{"a":1}',
        '{"a":1},{"b":2}',
        '{"a":1},\n{"b":2}',
        '{"a":"}',
        '{","b":1}',
        '{"a":{"b":1}',
        '{"c":1}}',
        '{"a":1,',
        '{"a":1,"b":{',
        '{}',
        '{',
      ],
      ...['{"a":"\\', '{"a":"\n"}', '{"[":1}', '{"a":[1]}', '{"a":1}]', '{"a":1} ', ' {"a":1}', '{"a":1}\n,{"a":1}', '1'],
    )
    fc.assert(
      fc.property(fc.array(pieces, { minLength: 2, maxLength: 6 }), values => {
        const together = parseJsonArray(records(values))
        if (together !== undefined) expect(together).toEqual(oneByOne(records(values)))
        if (oneByOne(records(values)) === undefined) expect(together).toBeUndefined()
      }),
      { numRuns: 20_000 },
    )
  })

  test('that are objects are what each is by itself, with arrays in them and without, and with names of any kind', () => {
    const fields = fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), fc.jsonValue())
    fc.assert(
      fc.property(fc.array(fields, { minLength: 2 }), objects => {
        const values = objects.map(object => JSON.stringify(object))
        expect(parseJsonArray(records(values))).toEqual(oneByOne(records(values)))
      }),
    )
  })

  test('that are not UTF-8 are decoded as they are one by one', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 6 }), { minLength: 2, maxLength: 4 }), bodies => {
        const values = bodies.map(body =>
          Buffer.concat([Buffer.from('"'), Buffer.from(body.filter(byte => byte > 0x5c)), Buffer.from('"')]),
        )
        expect(parseJsonArray(records(values))).toEqual(oneByOne(records(values)))
      }),
    )
  })

  test('are left to one by one where one is missing, or where they are large', () => {
    expect(parseJsonArray(records(['1', null]))).toBeUndefined()
    expect(parseJsonArray(records([`"${'x'.repeat(600_000)}"`, '1']))).toBeUndefined()
  })

  test('name the record that is no JSON, and with skip leave out only that', async () => {
    const source = memorySource({ topics: { orders: 1 } })
    for (const value of ['{"id":1}', '{"id":2', '{"id":3}']) source.append('orders', 0, { value })
    const sink = collectingSink<{ id: number }>()
    const start = async (onRecordError: 'fail' | 'skip') => {
      const job = stream({ name: onRecordError, offsets: memoryOffsets(), onRecordError, log: silentLog })
      return (await job.from(source).map(json<{ id: number }>()).to(sink).start({ until: 'latest' })).done
    }
    await expect(start('fail')).rejects.toMatchObject({ code: 'RECORD', details: { offset: 1, stage: 'map (json)' } })
    await start('skip')
    expect(sink.rows).toEqual([{ id: 1 }, { id: 3 }])
  })
})
