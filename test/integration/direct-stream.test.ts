import { expect, test } from 'vitest'
import { type KafkaRecord, kafkaSource } from '../../connectors/kafka/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import type { DataLossError } from '../../src/core/errors.ts'
import { silentLog } from '../../src/core/log.ts'
import { type DirectBatch, type DirectStream, openDirectStream } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { asOracle } from '../support/as-oracle.ts'
import { collect } from '../support/collect.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, sendTransaction, uniqueName } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'

const DEATHS = ['begun', 'read', 'written', 'committed'] as const
const SEED = 11

/** Some records of transactions, aborted ones between them. */
async function fill(topic: string, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const messages = Array.from({ length: 40 }, (_, at) => ({ key: `${at}`, partition: at % 2, value: `${round}-${at}` }))
    if (round % 3 === 0) await sendMessages(topic, messages)
    else await sendTransaction(topic, messages, round % 3 === 1 ? 'commit' : 'abort')
  }
}

test('an engine that dies behind any step of a batch has what the Java client reads, each record once', async () => {
  const topic = await createTopic(uniqueName('direct'), { partitions: 2 })
  await fill(topic, 12)
  const random = seededRandom(SEED)
  const folder = temporaryFolder()
  await using source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
  // Its output: rows by batch, replaced whole where a batch comes again.
  const output = new Map<number, KafkaRecord[]>()
  const deaths = new Map<string, number>()

  const step = async (direct: DirectStream, batch: DirectBatch, dies: (where: (typeof DEATHS)[number]) => boolean) => {
    if (dies('begun')) return
    const { isolation } = batch
    const parts = await Promise.all(batch.ranges.map(range => collect(source, range, { signal: direct.signal, isolation })))
    if (dies('read')) return
    output.set(batch.id, parts.flat())
    if (dies('written')) return
    await direct.commit(batch)
    dies('committed')
  }

  for (let isDone = false; !isDone; ) {
    // Each life has a store of its own over the same file, and takes the stream from the one before, which has closed nothing.
    const offsets = sqliteOffsets({ path: `${folder}/offsets.db` })
    const limits = { maxRecordsPerBatch: 20 + Math.floor(random.number() * 60), maxRecordsPerTask: 15 }
    const direct = await openDirectStream({ name: topic, source, offsets, limits, steal: true, log: silentLog })
    for (let isAlive = true; isAlive; ) {
      const batch = await direct.next()
      if (batch === undefined) {
        isDone = true
        break
      }
      await step(direct, batch, where => {
        if (random.number() > 0.25) return false
        deaths.set(where, (deaths.get(where) ?? 0) + 1)
        isAlive = false
        return true
      })
    }
  }

  const found = asOracle([...output.values()].flat()).sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  expect(found).toEqual(await readAll(kafkaCluster(), topic, 'read_committed'))
  expect(found).toHaveLength(8 * 40)
  expect([...deaths.keys()].sort()).toEqual([...DEATHS].sort())
})

test('a topic that is made again under an engine is told from the one it read, and gone on with where the policy says so', async () => {
  const topic = await createTopic(uniqueName('direct-recreated'))
  const send = (value: string) => sendMessages(topic, [{ value }])
  await send('before')
  const openSource = () => kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
  await using source = openSource()
  await using offsets = sqliteOffsets({ path: `${temporaryFolder()}/offsets.db` })
  const about = { name: topic, offsets, log: silentLog }
  const before = await openDirectStream({ ...about, source })
  const first = await before.next()
  if (first === undefined) throw new Error('there is nothing to read')
  await before.commit(first)
  await before.close()

  const admin = kafkaClient().admin()
  await admin.connect()
  await admin.deleteTopics({ topics: [topic] })
  await expect.poll(async () => (await admin.listTopics()).includes(topic), { timeout: 30_000 }).toBe(false)
  await admin.disconnect()
  await createTopic(topic)
  await send('after')

  // As another process would find it.
  await using later = openSource()
  const refusing = await openDirectStream({ ...about, source: later })
  const refusal: DataLossError = await refusing.next().then(
    () => Promise.reject(new Error('it was planned')),
    error => error,
  )
  expect(refusal).toMatchObject({ code: 'DATA_LOSS', lossCause: 'recreated' })
  await refusing.close()
  await using going = await openDirectStream({ ...about, source: later, onDataLoss: 'skip' })
  const second = await going.next()
  const records = (await Promise.all((second?.ranges ?? []).map(range => collect(later, range)))).flat()
  expect(records.map(({ value }) => String(value))).toEqual(['after'])
})
