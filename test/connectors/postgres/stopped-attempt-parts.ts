import { setImmediate } from 'node:timers/promises'

export type StoppedAttempt = {
  readonly connectionString: string
  readonly schema: string
  readonly table: string
  readonly output: string
  readonly at: 'inside COPY' | 'inside the second COPY' | 'before the ledger row' | 'after it'
  /** Whether rows are upserted by `id`. */
  readonly key?: boolean
  /** Whether the SQL is the job's own. */
  readonly write?: boolean
  /** Whether rows are routed to two tables, `<table>_0` and `<table>_1`. */
  readonly routed?: boolean
}

/** A row that is routed: so wide that each table's rows are more than go out at once. */
export type RoutedRow = { readonly id: number; readonly pad: string }

/** A row by its id. */
export function routedRow(id: number): RoutedRow {
  return { id, pad: 'x'.repeat(120) }
}

/** The options by which {@link RoutedRow}s go to two tables. */
export function routedOptions(schema: string, table: string, key: boolean | undefined) {
  return {
    table: ({ id }: RoutedRow) => `${schema}.${table}_${id % 2}`,
    columns: ['id', 'pad'] as const,
    ...(key === true && { key: 'id' as const }),
  }
}

/** How many rows the attempt has: more than a small task. */
export const ROWS = 40_000

/** The rows of the attempt, stopping the process where it is told to. */
export async function* manyRowsUntil(at: StoppedAttempt['at'], stop: () => void): AsyncGenerator<readonly { id: number }[]> {
  for (let id = 0; id < ROWS; id += 1000) {
    yield Array.from({ length: 1000 }, (_, place) => ({ id: id + place }))
    if (at === 'inside COPY' && id === ROWS - 5000) {
      // What was written is on its way once the loop has turned.
      await setImmediate()
      stop()
      await setImmediate()
    }
  }
  if (at === 'before the ledger row') {
    await setImmediate()
    stop()
    await setImmediate()
  }
  // The end of the rows is sent in this turn of the loop, the answer is read in a later one.
  if (at === 'after it') setImmediate().then(stop)
}
