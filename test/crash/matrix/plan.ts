/** A place where a driver is killed: before or after a call of the store, the source, the sink or the destination, the `nth` of its process. */
export type CrashPoint = { readonly name: string; readonly strike: string }

/** Every arrow of a batch's life, in an order in which one stream meets them all: each process dies at one and is followed by the next. */
const CRASH_POINTS: readonly CrashPoint[] = [
  // A stream's first start: nothing is there yet.
  ...beforeAndAfter('acquire'),
  ...beforeAndAfter('read'),
  ...beforeAndAfter('latestOffsets', 1, 'plan'),
  ...beforeAndAfter('reset', 1, 'reset to starting points'),
  ...beforeAndAfter('begin'),
  ...beforeAndAfter('fence', 1, 'fence at a takeover'),
  ...beforeAndAfter('fence', 2, 'fence of a batch'),
  ...beforeAndAfter('rows', 1, "a task's rows"),
  ...beforeAndAfter('ledger', 1, "a task's ledger write"),
  ...beforeAndAfter('rename', 1, "the rename of a task's file"),
  ...beforeAndAfter('parts', 1, "the rename of a task's parts"),
  ...beforeAndAfter('write', 1, 'the end of a task'),
  ...beforeAndAfter('commitBatch', 1, 'the publishing of a batch'),
  ...beforeAndAfter('rolling', 1, 'the note of what is rolled'),
  ...beforeAndAfter('rolled', 1, 'the rename of a rolled file'),
  ...beforeAndAfter('manifest', 1, 'the version of a manifest'),
  ...beforeAndAfter('clean', 1, 'the removal of parts'),
  ...beforeAndAfter('commit'),
  // The last two read the topic to its end.
  ...beforeAndAfter('release'),
]

export const STORES = ['sqlite', 'postgres', 'redis', 'zookeeper', 'kafka'] as const
export const OUTPUTS = [
  'postgres append',
  'postgres upsert',
  'routed postgres',
  'kafka',
  'redis',
  'files',
  'rolled files',
  'http',
  'console',
] as const

export type StoreKind = (typeof STORES)[number]
export type OutputKind = (typeof OUTPUTS)[number]

/** What one stream of the matrix is made of: plain data for its processes. */
export type MatrixStream = {
  readonly stream: string
  readonly store: StoreKind
  readonly output: OutputKind
  /** What the output writes into: a table, a topic, a key. */
  readonly target: string
  /** A second output of the same kind and job. */
  readonly alsoInto?: string
  /** Of the Kafka output. @default the one that all streams share */
  readonly ledgerTopic?: string
  readonly folder: string
  readonly brokers: readonly string[]
  readonly topic: string
  readonly postgres: string
  readonly redis: string
  readonly zookeeper: string
  /** Where rows over HTTP go, of the streams that have such an output. */
  readonly http?: string
  readonly recordsPerBatch: number
  readonly leaseTtlMs: number
  /** Ends with what is there at its start, or goes on until it is stopped by SIGTERM. */
  readonly until: 'latest' | 'stopped'
  /** Takes the stream over from an owner who is known to be dead. */
  readonly steal: boolean
}

const ONLY_OF_FILES = / (rename|parts|rolling|rolled|manifest|commitBatch|clean) /

/**
 * The points that an output has: files have no ledger beside their names, and the console has no fence either. Over HTTP there is no fence, and the ledger is
 * the endpoint's: what strikes there is the request.
 */
export function crashPointsOf(output: OutputKind): CrashPoint[] {
  const lacks = { console: / (ledger|fence) /, files: / ledger /, 'rolled files': / ledger /, http: / fence / }[output as string]
  const ofFiles = { files: /rename|manifest|commitBatch/, 'rolled files': /parts|rolling|rolled|manifest|commitBatch|clean/ }[
    output as string
  ]
  return CRASH_POINTS.filter(({ strike }) => !lacks?.test(strike) && (ofFiles?.test(strike) || !ONLY_OF_FILES.test(strike)))
}

function beforeAndAfter(call: string, nth = 1, name = call): CrashPoint[] {
  return ['before', 'after'].map(when => ({ name: `${when} ${name}`, strike: `kill ${when} ${call} ${nth}` }))
}
