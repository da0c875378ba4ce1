import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { listFiles, listJsonlFiles } from '../../../connectors/files/index.ts'
import { json, kafkaSource } from '../../../connectors/kafka/index.ts'
import { makeTopic } from '../../bench/topics.ts'
import type { KafkaAddress } from '../../support/cluster/kafka-cluster.ts'
import { duckdb, sqlList } from '../../support/duckdb.ts'
import { readAll } from '../../support/oracle.ts'
import { type PlaceRow, routedTables } from './outputs.ts'
import type { MatrixStream } from './plan.ts'

/** Makes what the output of a stream writes into, where it does not make that itself. */
export async function prepareOutput({ output, target, postgres }: MatrixStream, kafka: KafkaAddress): Promise<void> {
  if (output === 'kafka') return makeTopic(kafka, target, 2)
  if (output === 'routed postgres') {
    const [copied, merged] = routedTables(target)
    const columns = 'topic text, part int, place bigint'
    const tables = `create table ${copied} (${columns}); create table ${merged} (${columns}, primary key (topic, part, place))`
    await withPostgres(postgres, client => client.query(tables))
    return
  }
  if (!output.startsWith('postgres')) return
  const key = output === 'postgres upsert' ? ', primary key (topic, part, place)' : ''
  await withPostgres(postgres, client => client.query(`create table ${target} (topic text, part int, place bigint${key})`))
}

/** Every record that the destination holds, as `partition:offset`, doubles included. `stdout` is what all drivers have printed. */
export async function readOutput(stream: MatrixStream, kafka: KafkaAddress, stdout: string): Promise<string[]> {
  return (await readRows(stream, kafka, stdout)).map(({ part, place }) => `${part}:${place}`)
}

async function readRows(
  { output, target, folder, postgres, redis, http }: MatrixStream,
  kafka: KafkaAddress,
  stdout: string,
): Promise<Pick<PlaceRow, 'part' | 'place'>[]> {
  switch (output) {
    case 'postgres append':
    case 'postgres upsert':
      return withPostgres(postgres, async client => (await client.query(`select part, place from ${target}`)).rows)
    case 'routed postgres': {
      const [copied, merged] = routedTables(target)
      return withPostgres(
        postgres,
        async client => (await client.query(`select part, place from ${copied} union all select part, place from ${merged}`)).rows,
      )
    }
    case 'redis':
      return readRedisStream(redis, target)
    case 'kafka':
      return readTopic(kafka, target)
    case 'files':
      return readFiles(join(folder, 'rows'))
    case 'rolled files':
      return readRolledFiles(join(folder, 'rows'))
    case 'http':
      return (await (await fetch(`${http}/${target}`)).json()) as PlaceRow[]
    case 'console':
      return parseLines(stdout)
    default:
      return output satisfies never
  }
}

/** By our own reader, which gives values; the Java client must see as many records. */
async function readTopic(kafka: KafkaAddress, topic: string): Promise<PlaceRow[]> {
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [topic] })
  const rows: PlaceRow[] = []
  const parse = json<PlaceRow>()
  for (const { offset: untilOffset, ...at } of await source.latestOffsets()) {
    if (untilOffset === 0) continue
    for await (const records of source.read({ ...at, fromOffset: 0, untilOffset })) rows.push(...records.map(parse))
  }
  const byJava = await readAll(kafka, topic, 'read_committed')
  if (byJava.length !== rows.length) throw new Error(`${topic}: the Java client reads ${byJava.length} records, and we ${rows.length}`)
  return rows
}

function readRedisStream(url: string, key: string): Promise<Pick<PlaceRow, 'part' | 'place'>[]> {
  return withRedis(url, async client => {
    const entries = await client.xrange(key, '-', '+')
    return entries.map(([, fields]) => {
      const row = Object.fromEntries(fields.flatMap((name, at) => (at % 2 === 0 ? [[name, fields[at + 1]]] : [])))
      return { part: Number(row.part), place: Number(row.place) }
    })
  })
}

async function readFiles(directory: string): Promise<PlaceRow[]> {
  const rows: PlaceRow[] = []
  for (const { path } of await listJsonlFiles(directory)) rows.push(...parseLines(await readFile(path, 'utf8')))
  return rows
}

/** By DuckDB: what the manifest names and, when all drivers have come to their ends, what a pattern finds must be the same rows. */
async function readRolledFiles(directory: string): Promise<Pick<PlaceRow, 'part' | 'place'>[]> {
  const paths = (await listFiles(directory)).map(({ path }) => path)
  const read = (from: string) => duckdb(`select part::int as part, place::double as place from read_parquet(${from}) order by part, place`)
  const listed = await read(sqlList(paths))
  const found = await read(`'${directory}/**/*.parquet'`)
  if (JSON.stringify(listed) !== JSON.stringify(found))
    throw new Error(`${directory}: the manifest has ${listed.length} rows, and a pattern finds ${found.length}`)
  return listed as Pick<PlaceRow, 'part' | 'place'>[]
}

/** The last line of a process that was killed may be a part of one. */
function parseLines(text: string): PlaceRow[] {
  return text
    .split('\n')
    .filter(line => line.startsWith('{') && line.endsWith('}'))
    .map(line => JSON.parse(line))
}

/** Gives a client of the destination to `use`, and ends it. */
export async function withPostgres<T>(connectionString: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    return await use(client)
  } finally {
    await client.end()
  }
}

/** Gives a client of the destination to `use`, and ends it. */
export async function withRedis<T>(url: string, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url)
  try {
    return await use(client)
  } finally {
    client.disconnect()
  }
}
