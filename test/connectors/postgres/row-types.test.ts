import { expect, test } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'

type Order = { id: string; total: number; note?: string }

const at = { connectionString: 'postgres://localhost/orders' }
const table = 'orders'
const orders = () =>
  stream({ name: 'types' })
    .from(memorySource())
    .map((): Order => ({ id: 'a', total: 1 }))

// What is checked here is that this file compiles: an @ts-expect-error without an error is one.
test('a sink is checked against the rows it gets', () => {
  orders().to(postgresSink({ ...at, table, columns: ['id', 'total', 'note'], key: 'id', deleteWhen: order => order.total < 0 }))
  orders().to(postgresSink({ ...at, table }))
  orders().to(postgresSink<Order>({ ...at, table, columns: ['id'] }))
  orders().to(postgresSink({ ...at, table: order => `orders_${order.note}`, columns: ['id', 'total'], key: 'id' }))
  orders().to(
    postgresSink({
      connectionString: at.connectionString,
      write: async (client, rows, task) => {
        for await (const array of rows) for (const order of array) await client.query('select $1', [order.total + task.batchId])
      },
    }),
  )

  // @ts-expect-error rows have no column customer
  orders().to(postgresSink({ ...at, table, columns: ['id', 'customer'] }))
  // @ts-expect-error nor can it be the key
  orders().to(postgresSink({ ...at, table, key: 'customer' }))
  // @ts-expect-error nor the version
  orders().to(postgresSink({ ...at, table, key: 'id', version: 'customer' }))
  // @ts-expect-error nor what a table is chosen by
  orders().to(postgresSink({ ...at, table: order => order.customer }))
  // @ts-expect-error a table is named by a text
  orders().to(postgresSink({ ...at, table: order => order.total }))
  // @ts-expect-error rows whose table is chosen have no column customer either
  orders().to(postgresSink({ ...at, table: order => order.id, columns: ['id', 'customer'] }))
  const byItself = postgresSink({ ...at, table, columns: ['id', 'customer'] })
  // @ts-expect-error also where the sink was made by itself, of its columns
  const forOrders: Sink<Order> = byItself
  expect(forOrders.name).toBe('postgres:orders')
})

test('an output of the job’s own SQL is named by its option, its function, or neither', () => {
  const { connectionString } = at
  async function addUp() {}
  expect(postgresSink({ connectionString, write: addUp }).name).toBe('postgres:addUp')
  expect(postgresSink({ connectionString, write: addUp, name: 'sums' }).name).toBe('postgres:sums')
  expect(postgresSink({ connectionString, write: async () => {} }).name).toBe('postgres:sql')
})

test('an output whose tables are chosen by row says so in its name, in what it points at, and in what does not go together', () => {
  const sink = postgresSink<Order>({ ...at, table: order => order.id })
  expect(sink).toMatchObject({
    name: 'postgres:by-row',
    target: 'localhost:5432/orders, tables by row, ledger in tidemark',
    ordering: 'none',
  })
  expect(() => postgresSink<Order>({ ...at, table: order => order.id, version: 'total' })).toThrow(/version needs key/)
  expect(() => postgresSink<Order>({ ...at, table, maxTables: 5 })).toThrow(/maxTables goes with a table that is a function/)
  expect(() => postgresSink<Order>({ ...at, table: order => order.id, maxTables: 0 })).toThrow(/maxTables/)
  expect(() => postgresSink<Order>({ ...at, table: 5 as never })).toThrow(/table.*a function of the row/)
})
