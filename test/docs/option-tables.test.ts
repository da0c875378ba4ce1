import { describe, expect, test } from 'vitest'
import { readText, tableAfter } from './readme.ts'

/** Each table of options in `docs/`, and the types that declare them. */
const TABLES: readonly (readonly [document: string, heading: string, sources: readonly (readonly [path: string, type: string])[]])[] = [
  ['docs/offset-stores.md', 'sqliteOffsets', [['offsets/sqlite/index.ts', 'SqliteOffsetsOptions']]],
  [
    'docs/offset-stores.md',
    'postgresOffsets',
    [
      ['offsets/postgres/options.ts', 'PostgresOffsetsOptions'],
      ['src/util/postgres-connection-options.ts', 'PostgresConnectionOptions'],
    ],
  ],
  ['docs/offset-stores.md', 'redisOffsets', [['offsets/redis/options.ts', 'RedisOffsetsOptions']]],
  [
    'docs/offset-stores.md',
    'zookeeperOffsets',
    [
      ['offsets/zookeeper/options.ts', 'ZookeeperOffsetsOptions'],
      ['offsets/zookeeper/options.ts', 'ZookeeperAddress'],
    ],
  ],
  ['docs/offset-stores.md', 'kafkaOffsets', [['offsets/kafka/options.ts', 'KafkaOffsetsOptions']]],
  [
    'docs/outputs.md',
    'postgresSink',
    [
      ['src/util/postgres-connection-options.ts', 'PostgresConnectionOptions'],
      ['connectors/postgres/options.ts', 'LedgerOptions'],
      ['connectors/postgres/options.ts', 'PostgresTableOptions'],
      ['connectors/postgres/options.ts', 'PostgresWriteOptions'],
    ],
  ],
  ['docs/outputs.md', 'kafkaSink', [['connectors/kafka/sink/options.ts', 'KafkaSinkOptions']]],
  [
    'docs/outputs.md',
    'redisSink',
    [
      ['connectors/redis/options.ts', 'RedisSinkOptions'],
      ['connectors/redis/options.ts', 'Target'],
    ],
  ],
  ['docs/executors.md', 'inProcess', [['src/executors/in-process.ts', 'InProcessOptions']]],
  ['docs/executors.md', 'threads', [['src/executors/threads.ts', 'ThreadsOptions']]],
  [
    'docs/executors.md',
    'bullmq',
    [
      ['connectors/bullmq/options.ts', 'BullmqConnection'],
      ['connectors/bullmq/options.ts', 'BullmqOptions'],
    ],
  ],
  ['docs/executors.md', 'serveTasks', [['connectors/bullmq/host/host-options.ts', 'ServeOptions']]],
  ['docs/outputs.md', 'httpSink', [['connectors/http/options.ts', 'HttpSinkOptions']]],
  [
    'docs/outputs.md',
    'jsonlSink',
    [
      ['connectors/files/options.ts', 'FilesOptions'],
      ['connectors/files/options.ts', 'JsonlSinkOptions'],
    ],
  ],
  [
    'docs/outputs.md',
    'csvSink',
    [
      ['connectors/files/options.ts', 'FilesOptions'],
      ['connectors/files/options.ts', 'CsvSinkOptions'],
    ],
  ],
  [
    'docs/outputs.md',
    'parquetSink',
    [
      ['connectors/files/options.ts', 'FilesOptions'],
      ['connectors/files/options.ts', 'ParquetSinkOptions'],
    ],
  ],
]

/** The options that a type declares in its own braces; those that are only there to be left out are not. */
function optionsOf(path: string, type: string): Map<string, string | undefined> {
  const source = readText(path)
  const start = source.search(new RegExp(`^(export )?type ${type}\\b`, 'm'))
  if (start < 0) throw new Error(`${path} has no type ${type}`)
  const body = source.slice(start).split(/\n(?=(?:export |const |function |type |\/\*\*))/)[0] ?? ''
  const options = new Map<string, string | undefined>()
  for (const [, comment = '', name = '', declared = ''] of body.matchAll(
    /(?:\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*)?\breadonly (\w+)\??: ([^\n;}]*)/g,
  )) {
    if (/^(undefined|never)\b/.test(declared)) continue
    options.set(name, /@default ([\s\S]*?)\s*$/.exec(comment)?.[1]?.replace(/`/g, ''))
  }
  return options
}

function cellText(cell: string): string {
  return cell.replaceAll('`', '')
}

describe.each(TABLES)('the table of %s: %s', (document, factory, sources) => {
  const declared = new Map(sources.flatMap(([path, type]) => [...optionsOf(path, type)]))
  const table = new Map(
    tableAfter(`\`${factory}(options)\`:`, document).map(([option = '', value = '']) => [cellText(option), cellText(value)]),
  )

  test('has every option there is and no other', () => {
    expect([...table.keys()].sort()).toEqual([...declared.keys()].sort())
  })

  test('says the default that the source documents', () => {
    for (const [option, value] of table) {
      const documented = declared.get(option)
      if (documented === undefined || value === '') continue
      // A longer explanation may follow in the source, and a shorter one stand in the table.
      const words = value.split(/[\s,]+/)[0] ?? ''
      expect(documented, option).toContain(words)
    }
  })
})
