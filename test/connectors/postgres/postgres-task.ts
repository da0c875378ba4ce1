import pg from 'pg'
import { afterAll, inject } from 'vitest'
import { attemptPrefix } from '../../../connectors/postgres/attempt-name.ts'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import type { PostgresSinkOptions } from '../../../connectors/postgres/options.ts'
import { silentLog } from '../../../src/core/log.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { FenceMark, Sink, SinkContext } from '../../../src/core/sink.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'

const NEVER = new AbortController().signal

export type TaskParts = Partial<Omit<Task, 'range'>> & { readonly range?: Partial<OffsetRange> }

/** A task of stream `orders`, range `orders/3 [120, 180)`, batch 7, epoch 1, where nothing else is said. */
export function task({ range, ...parts }: TaskParts = {}): Task {
  return {
    stream: 'orders',
    batchId: 7,
    epoch: 1,
    index: 0,
    range: { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180, ...range },
    batchTime: 1_700_000_000_000,
    output: 'table',
    attempt: '1-7-0-0',
    ...parts,
  }
}

/** What a sink is prepared with. */
export function context(parts: Partial<SinkContext> = {}): SinkContext {
  return { stream: 'orders', streamId: 'id-1', output: 'table', signal: NEVER, log: silentLog, ...parts }
}

/** What a sink is fenced with: batch 7 of epoch 1. */
export function mark(parts: Partial<FenceMark> = {}): FenceMark {
  return { stream: 'orders', streamId: 'id-1', output: 'table', epoch: 1, owner: 'host:1:a', lastBegun: 7, lastComplete: 6, ...parts }
}

/** Arrays of rows as a task brings them. */
export async function* rowsOf<Row>(...arrays: readonly (readonly Row[])[]): AsyncGenerator<readonly Row[]> {
  yield* arrays
}

/** Many rows in arrays as a source gives them. */
export async function* manyRows<Row>(count: number, make: (at: number) => Row): AsyncGenerator<readonly Row[]> {
  for (let from = 0; from < count; from += 1000) {
    yield Array.from({ length: Math.min(1000, count - from) }, (_, at) => make(from + at))
  }
}

/** What `write` is called with when nobody aborts. */
export const running = { signal: NEVER, log: silentLog }

/** A schema of its own in the tests' Postgres, which holds tables and ledger. */
export type Place = {
  readonly schema: string
  readonly connectionString: string
  /** Runs SQL with the schema first on the search path. */
  query<Row extends object>(text: string, values?: unknown[]): Promise<Row[]>
  /** A sink that keeps its ledger here; `table` without a schema is one of this place. */
  sink<Row>(options: Partial<PostgresSinkOptions<Row>>): Promise<Sink<Row>>
}

/** Makes a place; it and its sinks are gone after the file's tests. */
export async function makePlace(connectionString = inject('services').postgres): Promise<Place> {
  const schema = `t_${systemRandom
    .id(12)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '0')}`
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(`create schema ${schema}; set search_path to ${schema}`)
  const sinks: Sink<never>[] = []
  afterAll(async () => {
    for (const sink of sinks) await sink.close?.()
    await client.query(`drop schema ${schema} cascade`)
    await client.end()
  })
  return {
    schema,
    connectionString,
    query: async (text, values) => (await client.query(text, values as unknown[])).rows,
    sink: async <Row>(options: Partial<PostgresSinkOptions<Row>>) => {
      const table = typeof options.table !== 'string' ? {} : { table: `${schema}.${options.table}` }
      const sink = postgresSink<Row>({ connectionString, schema, ...options, ...table } as PostgresSinkOptions<Row>)
      sinks.push(sink as Sink<never>)
      return sink
    },
  }
}

/** A sink that was prepared, opened and fenced for batch 7. */
export async function readySink<Row>(place: Place, options: Partial<PostgresSinkOptions<Row>>, output = 'table'): Promise<Sink<Row>> {
  const sink = await place.sink(options)
  await sink.prepare?.(context({ output }))
  await sink.open?.(context({ output }))
  await sink.fence?.(mark({ output }))
  return sink
}

/** What `pg_stat_activity` has of an output's attempts that are under way, for `like`. Other files' tests run on the same server. */
export function attemptsLike(place: Place, output: string): string {
  return `${attemptPrefix(place.schema, 'orders', output)}%`
}

/** The ledger's rows, in order. */
export function ledgerOf(place: Place): Promise<{ output: string; batch_id: string; task_index: number }[]> {
  return place.query('select output, batch_id, task_index from sink_ledger order by output, batch_id, task_index')
}
