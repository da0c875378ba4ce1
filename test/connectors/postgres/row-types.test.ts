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
