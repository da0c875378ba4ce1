// What is wrong here must not compile: `npm run check` reports a `@ts-expect-error` under which nothing is wrong. What is right runs, too.
import { describe, expect, test } from 'vitest'
import { csvSink, jsonlSink, parquetSink } from '../../connectors/files/index.ts'
import { stream } from '../../src/index.ts'
import { memorySource } from '../../src/testing/index.ts'

type Order = { readonly id: string; readonly total: number; readonly at: Date; readonly note?: string }

const orders = () =>
  stream({ name: 'orders' })
    .from(memorySource({ topics: { orders: 1 } }))
    .map((record): Order => ({ id: String(record.offset), total: 1, at: new Date(0) }))

const directory = 'out'

describe('columns and folders', () => {
  test('are those of the rows, optional ones too', () => {
    orders().to(parquetSink({ directory, columns: { id: 'string', total: { type: 'double', nullable: false }, note: 'string' } }))
    orders().to(csvSink({ directory, columns: ['total', 'note'] }))
    orders().to(jsonlSink({ directory, partitionBy: { dt: { time: 'at' }, size: row => row.total > 10, id: 'id' } }))
    expect(parquetSink({ directory, columns: { anything: 'json' } }).name).toBe('files:out')
  })

  test('that rows lack do not compile', () => {
    const attempts = [
      // @ts-expect-error an order has no price
      () => orders().to(parquetSink({ directory, columns: { price: 'double' } })),
      // @ts-expect-error there is no such type
      () => orders().to(parquetSink({ directory, columns: { total: 'number' } })),
      // @ts-expect-error an order has no price
      () => orders().to(csvSink({ directory, columns: ['price'] })),
      // @ts-expect-error an order has no price
      () => orders().to(jsonlSink({ directory, partitionBy: { price: row => row.price } })),
    ]
    expect(attempts).toHaveLength(4)
  })
})
