import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'

/** A row as DuckDB gives it: BigInts for its integers of 64 bits, its own values for dates and the like. */
export type DuckRow = Readonly<Record<string, unknown>>

let opened: Promise<DuckDBConnection> | undefined

/** Runs SQL in a DuckDB in memory, which shares no code with what wrote the files that it reads. Times are UTC's. */
export async function duckdb(sql: string): Promise<DuckRow[]> {
  opened ??= open()
  return (await (await opened).runAndReadAll(sql)).getRowObjects()
}

/** Paths as a list in SQL. */
export function sqlList(paths: readonly string[]): string {
  return `[${paths.map(path => `'${path.replaceAll("'", "''")}'`).join(', ')}]`
}

async function open(): Promise<DuckDBConnection> {
  const connection = await (await DuckDBInstance.create()).connect()
  // One after another, so that rows come in the order of the file.
  await connection.run("set TimeZone = 'UTC'; set threads = 1")
  return connection
}
