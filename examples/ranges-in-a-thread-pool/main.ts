// Opens a stream and hands its ranges to a pool of threads that knows nothing of it.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Piscina } from 'piscina'
import { type DirectBatch, openDirectStream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { brokers, createTopic, sendMessages } from '../support/topics.ts'
import type { Counted, Work } from './count-words.ts'

const LINES = 40_000
const WORDS = ['tide', 'mark', 'high', 'water', 'low', 'ebb', 'flow']

const topic = await createTopic('lines', { partitions: 2 })
const lines = Array.from({ length: LINES }, (_, at) => [at, at + 1, at * at].map(of => WORDS[of % WORDS.length]).join(' '))
await sendMessages(
  topic,
  lines.map((value, at) => ({ partition: at % 2, value })),
)
console.error(`${LINES} lines are in ${topic}`)

const pool = new Piscina<Work, Counted>({ filename: join(import.meta.dirname, 'count-words.ts'), minThreads: 2, maxThreads: 2 })
await using source = kafkaSource({ kafka: { brokers: brokers() }, topics: [topic] })
await using offsets = sqliteOffsets({ path: `${process.env.EXAMPLE_DIRECTORY ?? '.'}/offsets.db` })
await using direct = await openDirectStream({
  name: 'words',
  source,
  offsets,
  limits: { maxRecordsPerBatch: 20_000, maxRecordsPerTask: 5_000 },
})

const total: Record<string, number> = {}
const rangesOf = new Map<number, number>()
let retries = 0
for (let batch = await direct.next(); batch !== undefined; batch = await direct.next()) {
  const { isolation } = batch
  for (const { thread, words } of await Promise.all(batch.ranges.map(range => count({ range, isolation, mayFail: true })))) {
    rangesOf.set(thread, (rangesOf.get(thread) ?? 0) + 1)
    for (const [word, times] of Object.entries(words)) total[word] = (total[word] ?? 0) + times
  }
  show(batch)
  await direct.commit(batch)
}
await pool.close()

const expected: Record<string, number> = {}
for (const word of lines.flatMap(line => line.split(' '))) expected[word] = (expected[word] ?? 0) + 1
assert.deepEqual(total, expected)
assert.equal(rangesOf.size, 2)
assert.ok(retries > 0)
const shares = [...rangesOf.values()].join(' and ')
console.log(`ranges-in-a-thread-pool: ${LINES} lines counted exactly, ${shares} ranges in two threads, ${retries} run again`)

/** One range, by whichever thread is free; a failed one once more, which gives the same records. */
async function count(work: Work): Promise<Counted> {
  try {
    return await pool.run(work, { signal: direct.signal })
  } catch (error) {
    if (direct.signal.aborted) throw error
    retries += 1
    return pool.run({ ...work, mayFail: false }, { signal: direct.signal })
  }
}

function show({ id, ranges }: DirectBatch): void {
  console.error(
    `batch ${id}: ${ranges.map(({ partition, fromOffset, untilOffset }) => `${partition} [${fromOffset}, ${untilOffset})`).join(', ')}`,
  )
}
