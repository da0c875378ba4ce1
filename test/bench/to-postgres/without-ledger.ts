import { Connection } from '../../../connectors/postgres/connection.ts'
import { CopyStatement } from '../../../connectors/postgres/copy/copy-statement.ts'
import { EncodedRows } from '../../../connectors/postgres/encoded-rows.ts'
import { copyIntoTable } from '../../../connectors/postgres/merge-sql.ts'
import { parseTableName } from '../../../connectors/postgres/names.ts'
import { loadTable, type Table } from '../../../connectors/postgres/table.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { COLUMNS, type Order } from './orders-table.ts'

/** The same COPY as `postgresSink`'s, in a transaction of its own, without fence and ledger: what exactly-once is measured against. */
export function sinkWithoutLedger(connectionString: string, table: string): Sink<Order> {
  const connection = new Connection({ connectionString }, 'the bench')
  const mode = { table, columns: [...COLUMNS], key: undefined, version: undefined, deleteWhen: undefined }
  let loaded: Table | undefined
  return {
    name: 'without-ledger',
    guarantee: 'at-least-once',
    ordering: 'none',
    open: () =>
      connection.use(async client => {
        loaded = await loadTable(client, parseTableName(table))
      }),
    async write(task, rows, { signal }) {
      if (loaded === undefined) throw new Error(`${table} is not there`)
      const encoded = new EncodedRows(task, rows, loaded, mode)
      const small = await encoded.drawSmall()
      const { target } = encoded
      if (target === undefined) return
      await connection.use(async client => {
        const statement = new CopyStatement(`begin; ${copyIntoTable(target)}; commit`)
        await statement.run(client, small === undefined ? encoded.messages() : [small.messages])
      }, signal)
    },
    close: () => connection.close(),
  }
}
