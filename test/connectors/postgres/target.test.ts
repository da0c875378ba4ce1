import pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { postgresSink } from '../../../connectors/postgres/index.ts'

const targetOf = (connectionString = '') => postgresSink({ connectionString, table: 'sales.orders' }).target

describe('what an output points at', () => {
  test.for([
    ['postgres://hidden:hidden@db.example:6432/shop', 'db.example:6432/shop'],
    ['postgresql://hidden:hid%40den@db.example/shop?sslmode=require&password=hidden', 'db.example:5432/shop'],
    ['postgres://hidden@[2001:db8::1]:5433/shop', '[2001:db8::1]:5433/shop'],
    ['postgres:///shop?host=/var/run/postgresql&port=5433&user=hidden', '/var/run/postgresql:5433/shop'],
    ['postgres://hidden:hidden@%2Fvar%2Frun%2Fpostgresql/shop', '/var/run/postgresql:5432/shop'],
    ['socket:/var/run/postgresql?db=shop&user=hidden', '/var/run/postgresql:5432/shop'],
    ['/var/run/postgresql shop', '/var/run/postgresql:5432/shop'],
    ['postgres://db.example', 'db.example:5432'],
  ])('of %s is its server, database, table and ledger, without a user or password', ([connectionString, server]) => {
    expect(targetOf(connectionString)).toBe(`${server}, table sales.orders, ledger in tidemark`)
  })

  test('is what the environment says where the options are silent, as pg takes it', () => {
    vi.stubEnv('PGHOST', 'from.env').stubEnv('PGPORT', '7777').stubEnv('PGDATABASE', 'shop').stubEnv('PGPASSWORD', 'hidden')
    expect(targetOf('postgres://')).toBe('from.env:7777/shop, table sales.orders, ledger in tidemark')
    vi.unstubAllEnvs()
  })

  test.for(['postgres://user:hid#den@db/shop', 'postgres://user:12/hidden@db/shop', 'postgres://user:hid/den@db/shop'])(
    'is not told where a password was not encoded and nobody can tell it from the rest: %s',
    connectionString => {
      expect(postgresSink({ connectionString, table: 'orders' }).target).toBeUndefined()
    },
  )

  test('is read from the options of a pool, which connects nothing', async () => {
    const parts = new pg.Pool({ host: 'db.example', port: 6432, database: 'shop', user: 'hidden', password: 'hidden' })
    const text = new pg.Pool({ connectionString: 'postgres://hidden:hidden@db.example:6432/shop' })
    for (const pool of [parts, text]) {
      const write = async () => {}
      expect(postgresSink({ pool, write, schema: 'own' }).target).toBe('db.example:6432/shop, ledger in own')
      expect(pool.totalCount).toBe(0)
      await pool.end()
    }
  })
})

test('two attempts may run side by side, whoever writes the SQL', () => {
  const connectionString = 'postgres://db.example/shop'
  expect(postgresSink({ connectionString, table: 'orders' }).allowsTwins).toBe(true)
  expect(postgresSink({ connectionString, table: 'orders', key: 'id' }).allowsTwins).toBe(true)
  expect(postgresSink({ connectionString, write: async () => {} }).allowsTwins).toBe(true)
})
