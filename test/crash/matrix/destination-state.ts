import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { kafkaSource } from '../../../connectors/kafka/index.ts'
import { ledgerKeys } from '../../../connectors/redis/keys.ts'
import type { KafkaAddress } from '../../support/cluster/kafka-cluster.ts'
import { openOutput, routedTables } from './outputs.ts'
import type { MatrixStream } from './plan.ts'
import { withPostgres, withRedis } from './read-output.ts'

/**
 * All that a destination has of a stream, rows with fence and ledger, so that a write shows even where it changes nothing: of Postgres also the transaction
 * that wrote each row, of a topic also what was aborted, of files also the inode.
 */
export function destinationState(stream: MatrixStream, kafka: KafkaAddress): Promise<unknown> {
  switch (stream.output) {
    case 'postgres append':
    case 'postgres upsert':
      return tableState(stream, [stream.target, ...(stream.alsoInto === undefined ? [] : [stream.alsoInto])])
    case 'routed postgres':
      return tableState(stream, routedTables(stream.target))
    case 'redis':
      return withRedis(stream.redis, client =>
        Promise.all(redisKeys(stream).map(async key => (await client.dumpBuffer(key))?.toString('hex'))),
      )
    case 'kafka':
      return topicState(stream, kafka)
    case 'rolled files':
      return treeState(join(stream.folder, 'rows'))
    case 'files':
      return fileState(join(stream.folder, 'rows'))
    case 'console':
    case 'http':
      throw new Error('It keeps no fence and no ledger that could show a write.')
    default:
      return stream.output satisfies never
  }
}

/** The keys of a Redis output: rows, fence, ledger. */
export function redisKeys(stream: MatrixStream): string[] {
  const { fence, ledger } = ledgerKeys('tidemark', stream.stream, openOutput(stream).name, undefined)
  return [stream.target, fence, ledger]
}

function tableState({ postgres, stream }: MatrixStream, tables: readonly string[]): Promise<unknown> {
  const rows = tables.map(table => `select ctid::text, xmin::text, * from ${table}`)
  const kept = ['sink_fences', 'sink_ledger'].map(
    table => `select ctid::text, xmin::text, * from tidemark.${table} where stream = '${stream}'`,
  )
  return withPostgres(postgres, async client => {
    const state: unknown[] = []
    for (const query of [...rows, ...kept]) state.push((await client.query(`${query} order by ctid`)).rows)
    return state
  })
}

async function topicState({ target }: MatrixStream, kafka: KafkaAddress): Promise<unknown> {
  await using source = kafkaSource({ kafka: { brokers: kafka.brokers }, topics: [target], isolation: 'read_uncommitted' })
  const state: unknown[] = []
  for (const { offset: untilOffset, ...at } of await source.latestOffsets()) {
    const values: string[] = []
    if (untilOffset > 0) {
      for await (const records of source.read({ ...at, fromOffset: 0, untilOffset }, { isolation: 'read_uncommitted' }))
        values.push(...records.map(({ offset, value }) => `${offset} ${value}`))
    }
    state.push({ partition: at.partition, untilOffset, values })
  }
  return state
}

async function fileState(directory: string): Promise<unknown> {
  const files = await listJsonlFiles(directory)
  return Promise.all(files.map(async ({ path }) => ({ path, text: await readFile(path, 'utf8'), inode: (await stat(path)).ino })))
}

/** Every file that counts or could be taken for one, and the manifest. */
async function treeState(directory: string): Promise<unknown> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  const kept = paths.filter(path => !path.includes('attempts')).sort()
  return Promise.all(kept.map(async path => ({ path, bytes: await readFile(path, 'base64'), inode: (await stat(path)).ino })))
}
