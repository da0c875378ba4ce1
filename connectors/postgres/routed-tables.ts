import { nameRow, type RowPlace } from '../../src/core/name-row.ts'
import type { PostgresClient } from '../../src/util/postgres-pool.ts'
import { checkTable } from './check-table.ts'
import { parseTableName } from './names.ts'
import { loadTable, type Table } from './table.ts'
import type { TableMode } from './target.ts'

/** How many tables are remembered: with one a day or a customer there is no end of them. */
const MOST_KNOWN = 1_000

/** What of the options says which rows go where, and how. */
export type RoutedMode = Omit<TableMode, 'table'> & {
  readonly route: (row: never) => unknown
  /** The most tables of one task. */
  readonly maxTables: number
}

/** Lends a connection to look at the server with. */
export type Look = <Result>(work: (client: PostgresClient) => Promise<Result>) => Promise<Result>

/** The tables that rows were routed to, each looked up and checked when the first row for it comes. */
export class RoutedTables {
  readonly #mode: RoutedMode
  readonly #known = new Map<string, Table>()
  /** Whether rows are dead letters, for the table that is suggested where there is none. */
  isOfDeadLetters = false

  constructor(mode: RoutedMode) {
    this.#mode = mode
  }

  /** The table of this name. Throws what a start with it would, and which row wants it. */
  async find(name: string, first: RowPlace, look: Look): Promise<Table> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    try {
      const parsed = parseTableName(name)
      const table = await look(client => loadTable(client, parsed))
      checkTable(table, { ...this.#mode, table: name }, this.isOfDeadLetters)
      if (this.#known.size >= MOST_KNOWN) this.forget([...this.#known.keys()].slice(0, 1))
      this.#known.set(name, table)
      return table
    } catch (error) {
      throw withRow(error, name, first)
    }
  }

  /** They may have been altered: who comes next looks at them anew. */
  forget(names: Iterable<string>): void {
    for (const name of names) this.#known.delete(name)
  }
}

/** An error about a table, with the row for which the table was wanted. Any other error as it is. */
export function withRow(error: unknown, table: string, first: RowPlace): unknown {
  return nameRow(error, first, `the first of its task for table ${table}`, { table })
}
