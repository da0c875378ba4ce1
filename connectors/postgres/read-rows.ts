import type { ReadBackQuery } from '../../src/core/sink.ts'
import { type Connection, runQuery } from './connection.ts'
import { parseTableName, quoteName, quoteTable } from './names.ts'

const ROWS_AT_A_TIME = 1_000

/** Reads a table's rows through a cursor, a thousand at a time, in one snapshot. */
export async function* readRows(
  connection: Connection,
  table: string,
  { where = {}, signal }: ReadBackQuery,
): AsyncGenerator<readonly unknown[]> {
  const values: unknown[] = []
  const place = (value: unknown) => `$${values.push(value)}`
  const conditions = Object.entries(where).map(([name, wanted]) => {
    const column = quoteName(name)
    if (typeof wanted !== 'object') return `${column} = ${place(wanted)}`
    return `${column} >= ${place(wanted.from)} and ${column} < ${place(wanted.until)}`
  })
  const filter = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`
  const pages: (readonly unknown[])[] = []
  let wake = () => {}
  let isOver = false
  let goOn = Promise.withResolvers<void>()
  const reading = connection.use(async client => {
    await runQuery(client, 'begin isolation level repeatable read, read only')
    await runQuery(client, `declare tidemark_rows cursor for select * from ${quoteTable(parseTableName(table))}${filter}`, values)
    for (;;) {
      const rows = await runQuery<unknown>(client, `fetch ${ROWS_AT_A_TIME} from tidemark_rows`)
      if (rows.length === 0 || isOver) break
      pages.push(rows)
      wake()
      await goOn.promise
      goOn = Promise.withResolvers()
    }
    await runQuery(client, 'commit')
  }, signal)
  const ended = reading.then(
    () => 'end' as const,
    (error: unknown) => ({ error }),
  )
  try {
    for (;;) {
      const news = new Promise<'page'>(resolve => {
        wake = () => resolve('page')
      })
      const what = pages.length > 0 ? 'page' : await Promise.race([news, ended])
      if (what === 'end') return
      if (what !== 'page') throw what.error
      const page = pages.shift()
      if (page !== undefined) yield page
      goOn.resolve()
    }
  } finally {
    isOver = true
    goOn.resolve()
    await ended
  }
}
