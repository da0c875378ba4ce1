import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..', '..')

const ERRORS = [
  'AuthError',
  'ConfigError',
  'ConflictError',
  'ConnectionError',
  'DataLossError',
  'DecodeError',
  'FencedError',
  'JobError',
  'LeaseHeldError',
  'LedgerConflictError',
  'RecordError',
  'TaskFailedError',
  'TidemarkError',
  'TimeoutError',
  'UnsupportedError',
]

/** What each entry point gives at run time, and where its source is. Adding a name here is a promise; taking one away breaks somebody. */
const ENTRY_POINTS = {
  tidemark: {
    source: 'src/index.ts',
    // `runTasks` and `systemClock` are for people who write an executor.
    values: [
      'stream',
      'deadLetter',
      'inProcess',
      'threads',
      'planBatch',
      'splitRanges',
      'PidRateEstimator',
      'openDirectStream',
      'isTidemarkError',
      'runTasks',
      'systemClock',
      ...ERRORS,
    ],
  },
  'tidemark/kafka': {
    source: 'connectors/kafka/index.ts',
    values: ['kafkaSource', 'kafkaSink', 'decodeRecordBatches', 'json', 'text', 'hasValue'],
  },
  'tidemark/files': { source: 'connectors/files/index.ts', values: ['csvSink', 'jsonlSink', 'listFiles', 'listJsonlFiles', 'parquetSink'] },
  'tidemark/http': { source: 'connectors/http/index.ts', values: ['httpSink'] },
  'tidemark/console': { source: 'connectors/console/index.ts', values: ['consoleSink'] },
  'tidemark/offsets/sqlite': { source: 'offsets/sqlite/index.ts', values: ['sqliteOffsets'] },
  'tidemark/redis': { source: 'connectors/redis/index.ts', values: ['redisSink'] },
  'tidemark/postgres': { source: 'connectors/postgres/index.ts', values: ['postgresSink', 'postgresSinkMigration'] },
  'tidemark/bullmq': { source: 'connectors/bullmq/index.ts', values: ['bullmq', 'serveTasks', 'lookAtJob', 'standingOf', 'showStanding'] },
  'tidemark/offsets/postgres': { source: 'offsets/postgres/index.ts', values: ['postgresOffsets', 'postgresOffsetsMigration'] },
  'tidemark/offsets/redis': { source: 'offsets/redis/index.ts', values: ['redisOffsets'] },
  'tidemark/offsets/zookeeper': { source: 'offsets/zookeeper/index.ts', values: ['zookeeperOffsets'] },
  'tidemark/offsets/kafka': { source: 'offsets/kafka/index.ts', values: ['kafkaOffsets'] },
  'tidemark/offsets/memory': { source: 'offsets/memory/index.ts', values: ['memoryOffsets'] },
  'tidemark/rules': {
    source: 'src/core/rules.ts',
    values: [
      ...[
        'checkAcquire',
        'checkBegin',
        'checkCommit',
        'checkExists',
        'checkLive',
        'checkReset',
        'checkRestore',
        'resetEntries',
        'positionsAfter',
      ],
      ...['isLive', 'isKeptForEver', 'trimBelow', 'HISTORY_KEPT', 'checkFence', 'checkTask', 'checkApplied', 'fenceRowOf'],
      ...['checkLeaseRequest', 'checkNote', 'checkSnapshot', 'checkStreamName', 'completeHistoryOptions', 'copyJson'],
      ...['comparePartitions', 'partitionKey', 'sameRange', 'showPartition', 'showRange'],
    ],
  },
  'tidemark/testing': {
    source: 'src/testing/index.ts',
    values: [
      'offsetStoreContract',
      'executorContract',
      'memorySource',
      'MemorySource',
      'collectingSink',
      'CollectingSink',
      'ManualClock',
      'seededRandom',
    ],
  },
} as const

/** What each entry point gives the compiler beside the values. */
const TYPES: Readonly<Record<keyof typeof ENTRY_POINTS, readonly string[]>> = {
  tidemark: [
    ...[
      'TopicPartition',
      'PartitionOffset',
      'OffsetRange',
      'Batch',
      'Task',
      'Json',
      'Isolation',
      'StartingOffsets',
      'Guarantee',
      'Ordering',
    ],
    ...[
      'Source',
      'CallOptions',
      'TimeWindow',
      'ReadOptions',
      'Sink',
      'SinkContext',
      'FenceMark',
      'CompletedBatch',
      'BatchContext',
      'ReadBackQuery',
      'LetterRange',
    ],
    ...['OffsetStore', 'Lease', 'StreamState', 'StreamSnapshot', 'HistoryEntry', 'AcquireOptions', 'ResetOptions', 'HistoryOptions'],
    ...[
      'CommitOptions',
      'DirectBatch',
      'DirectStream',
      'DirectStreamOptions',
      'NextOptions',
      'Executor',
      'ExecutorContext',
      'ExecutorRun',
      'RunOptions',
      'JobOrigin',
      'TaskGroup',
      'TaskResult',
      'RunnableJob',
      'RunnableOutput',
      'RunnerContext',
      'Stage',
      'RangeContext',
    ],
    ...['Listener', 'StreamEvent', 'BatchInfo', 'OutputOperationInfo', 'TaskInfo', 'Log', 'Clock', 'ErrorCode', 'DataLossCause'],
    ...[
      'StreamOptions',
      'LimitOptions',
      'PartitionRate',
      'PidWeights',
      'InProcessOptions',
      'ThreadsOptions',
      'StageOptions',
      'OutputOptions',
    ],
    ...['DeadLetter', 'DeadLetterPolicy', 'StreamJob', 'Flow', 'Run', 'RunSummary', 'StartOptions', 'Until'],
    ...['BackfillFrom', 'BackfillTo', 'BackfillPlan', 'BackfillOptions', 'BackfillRun'],
  ],
  'tidemark/kafka': [
    ...['KafkaSinkOptions', 'KafkaContent', 'KafkaHeaders'],
    ...['KafkaSourceOptions', 'KafkaRecord', 'KafkaHeader', 'RecordWithValue', 'DecodeRecordBatchesOptions', 'DecodedRecordBatches'],
  ],
  'tidemark/files': [
    'CsvSinkOptions',
    'FilesOptions',
    'JsonlFile',
    'JsonlSinkOptions',
    'OutputFile',
    'ParquetColumn',
    'ParquetCompression',
    'ParquetSinkOptions',
    'ParquetType',
    'PartitionLevel',
    'TextCompression',
    'TimeLevel',
  ],
  'tidemark/http': ['HttpSinkOptions', 'HttpHeaders', 'HttpRequestInfo', 'HttpTls'],
  'tidemark/console': ['ConsoleSinkOptions'],
  'tidemark/offsets/sqlite': ['SqliteOffsetsOptions'],
  'tidemark/offsets/memory': [],
  'tidemark/redis': ['RedisSinkOptions', 'RedisString', 'RedisHash', 'RedisStream', 'RedisSortedSet'],
  'tidemark/postgres': ['PostgresSinkOptions', 'PostgresTableOptions', 'PostgresWriteOptions'],
  'tidemark/bullmq': ['BullmqConnection', 'BullmqOptions', 'ServeOptions', 'TaskServer', 'Look', 'SeenExecutor', 'SeenRun', 'Standing'],
  'tidemark/offsets/postgres': ['PostgresOffsetsOptions', 'PostgresMigrationOptions'],
  'tidemark/offsets/redis': ['RedisOffsetsOptions', 'RedisClient'],
  'tidemark/offsets/zookeeper': ['ZookeeperOffsetsOptions', 'ZookeeperAuth', 'ZookeeperClient'],
  'tidemark/offsets/kafka': ['KafkaOffsetsOptions'],
  'tidemark/rules': ['FenceRow', 'LedgerCount', 'ResetPlan', 'StreamHead'],
  'tidemark/testing': [
    ...[
      'OffsetStoreContractOptions',
      'OpenedOffsetStore',
      'StoreFault',
      'StoreFaults',
      'MemorySourceOptions',
      'MemoryRecord',
      'NewRecord',
      'SourceCall',
    ],
    ...['CollectingSinkOptions', 'CollectedTask', 'SinkFailure'],
    ...['ExecutorContractOptions', 'ContractJob', 'OpenedExecutor', 'ExecutorFault', 'ExecutorFaults', 'WorkerId'],
  ],
}

const entries = Object.entries(ENTRY_POINTS) as [keyof typeof ENTRY_POINTS, { source: string; values: readonly string[] }][]

test.for(entries)('%s exports exactly what it promises', async ([name, { source, values }]) => {
  const module: Record<string, unknown> = await import(join(ROOT, source))
  expect(Object.keys(module).sort()).toEqual([...values].sort())
  expect([...namesIn(readFileSync(join(ROOT, source), 'utf8'))].sort()).toEqual([...values, ...TYPES[name]].sort())
})

test('the package exports these entry points and no other, each from its source', () => {
  const { exports }: { exports: Record<string, { 'tidemark-source': string } | string> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  )
  const { './package.json': _, './offsets/*': stores, ...others } = exports
  const expected = entries.filter(([name]) => !name.startsWith('tidemark/offsets/'))
  expect(sourcesOf(others)).toEqual(
    Object.fromEntries(expected.map(([name, { source }]) => [name.replace('tidemark', '.'), `./${source}`])),
  )
  expect(stores).toMatchObject({ 'tidemark-source': './offsets/*/index.ts' })
})

/** The names an entry point declares or passes on. */
function namesIn(source: string): Set<string> {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, '')
  const lists = Array.from(code.matchAll(/^export (?:type )?\{([^}]*)\}/gm), ([, list = '']) => list.split(','))
  const listed = lists.flat().map(name => name.trim().replace(/^type /, ''))
  const declared = Array.from(code.matchAll(/^export (?:async )?(?:type|function|const|class|interface) (\w+)/gm), ([, name = '']) => name)
  return new Set([...listed, ...declared].filter(name => name !== ''))
}

function sourcesOf(exports: Record<string, { 'tidemark-source': string } | string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(exports).map(([path, target]) => [path, typeof target === 'string' ? target : target['tidemark-source']]),
  )
}
