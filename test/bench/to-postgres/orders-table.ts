import { Client } from 'pg'

/** A record of the bench as its value says it. */
export type Order = { readonly id: number; readonly user: string; readonly amount: number; readonly note: string }

export const COLUMNS = ['id', 'user', 'amount', 'note'] as const

/** Runs SQL on a connection of its own. */
export async function sql<Row extends object>(connectionString: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

/** Makes an empty table of four columns, logged and without an index: what all of the contestants fill. */
export async function makeOrdersTable(connectionString: string, table: string): Promise<void> {
  await sql(
    connectionString,
    `drop table if exists ${table}; create table ${table} (id bigint, "user" text, amount double precision, note text)`,
  )
}

/** How many rows the table has, and how many different ones. */
export async function countOrders(connectionString: string, table: string): Promise<{ rows: number; different: number }> {
  const [counted] = await sql<{ rows: string; different: string }>(
    connectionString,
    `select count(*) as rows, count(distinct id) as different from ${table}`,
  )
  return { rows: Number(counted?.rows), different: Number(counted?.different) }
}
