/**
 * How fast record batches in memory become records: `node --conditions=tidemark-source test/bench/decode.ts [records a batch]`.
 *
 * One thread, values of 73 bytes, checksums checked, full records in arrays of 4,096, every value's view taken and its length summed: the
 * decoder's share of what `source.read` does. Prints millions of records a second, the best of several runs.
 */
import { decompress } from '../../connectors/kafka/codecs/decompress.ts'
import { BatchDecoder } from '../../connectors/kafka/record-batch/batch-decoder.ts'
import { scanBatches } from '../../connectors/kafka/record-batch/scan-batches.ts'
import { type Codec, encodeRecordBatch, type RecordToEncode } from '../support/encode-record-batch.ts'

const CODECS: readonly Codec[] = ['none', 'lz4', 'zstd', 'snappy', 'snappy-xerial', 'gzip']
const CODEC_NUMBERS = { none: 0, gzip: 1, snappy: 2, 'snappy-xerial': 2, lz4: 3, zstd: 4 } as const
const HEADER_BYTES = 61
const RECORDS = 100_000
const FIRST_OFFSET = 3_000_000_000
const RUNS = 60

type Shape = { readonly name: string; readonly keyed: boolean; readonly headers: number }

function makeBatches(codec: Codec, recordsPerBatch: number, shape: Shape): Buffer[] {
  const batches: Buffer[] = []
  for (let first = 0; first < RECORDS; first += recordsPerBatch) {
    const records: RecordToEncode[] = []
    for (let i = first; i < Math.min(RECORDS, first + recordsPerBatch); i++) records.push(makeRecord(i, shape))
    batches.push(encodeRecordBatch({ records, codec }))
  }
  return batches
}

function makeRecord(i: number, shape: Shape): RecordToEncode {
  const json = `{"id":${1_000_000 + i},"user":"user-${(i * 7919) % 9973}","amount":${(i * 31) % 10_000},"city":"Lisbon"`
  return {
    offset: FIRST_OFFSET + i,
    timestamp: 1_700_000_000_000 + Math.floor(i / 8),
    key: shape.keyed ? Buffer.from(`user-${(i * 7919) % 9973}`) : null,
    value: Buffer.from(`${json},"n":"`.padEnd(71, 'x').concat('"}')),
    headers: Array.from({ length: shape.headers }, (_, n) => [`trace-${n}`, Buffer.from('0af7651916cd43dd')] as const),
  }
}

function readAll(bytes: Buffer): number {
  let total = 0
  const decoder = new BatchDecoder(bytes, { topic: 'orders', partition: 3, fromOffset: FIRST_OFFSET, isolation: 'read_committed' })
  for (let records = decoder.next(); records !== undefined; records = decoder.next()) {
    for (const record of records) total += record.value?.length ?? 0
  }
  return total
}

/** Runs it until it is warm, then gives the least time of one run, in ms. */
function time(run: () => unknown): number {
  const warmUntil = performance.now() + 400
  while (performance.now() < warmUntil) run()
  let best = Number.POSITIVE_INFINITY
  // Short runs and the best of many: others use the machine too.
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

// What a producer's default `batch.size` of 16 KiB holds on the wire.
const PLAIN_PER_BATCH = Number(process.argv[2] ?? 190)
const COMPRESSED_PER_BATCH = Number(process.argv[2] ?? 1500)
const plainShape: Shape = { name: 'values only', keyed: false, headers: 0 }
const shapes: readonly Shape[] = [
  plainShape,
  { name: 'keys', keyed: true, headers: 0 },
  { name: 'keys, 2 headers', keyed: true, headers: 2 },
]

for (const codec of CODECS) {
  const batches = makeBatches(codec, codec === 'none' ? PLAIN_PER_BATCH : COMPRESSED_PER_BATCH, plainShape)
  const bytes = Buffer.concat(batches)
  const ms = time(() => readAll(bytes))
  const bodies = batches.map(batch => batch.subarray(HEADER_BYTES))
  const number = CODEC_NUMBERS[codec]
  const plainBytes = number === 0 ? bytes.length : bodies.reduce((sum, body) => sum + decompress(number, body).length, 0)
  const codecMs =
    number === 0
      ? 0
      : time(() => {
          for (const body of bodies) decompress(number, body)
        })
  const speed = number === 0 ? '' : `decompresses ${(plainBytes / codecMs / 1e3).toFixed(0)} MB/s`
  console.log(`${codec.padEnd(14)} ${(RECORDS / ms / 1e3).toFixed(1).padStart(5)} M records/s  ${speed}`)
}
for (const shape of shapes.slice(1)) {
  const bytes = Buffer.concat(makeBatches('none', PLAIN_PER_BATCH, shape))
  console.log(`none, ${shape.name}: ${(RECORDS / time(() => readAll(bytes)) / 1e3).toFixed(1)} M records/s`)
}
const bytes = Buffer.concat(makeBatches('none', PLAIN_PER_BATCH, plainShape))
console.log(`scan of ${(bytes.length / 1e6).toFixed(1)} MB: ${(time(() => scanBatches(bytes)) * 1e3).toFixed(0)} µs`)
