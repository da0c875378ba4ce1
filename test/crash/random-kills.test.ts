import { expect, test } from 'vitest'
import { seededRandom } from '../../src/testing/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { checkOutcome, readByJava, snapshotOf } from './check-outcome.ts'
import { startDriver } from './crash-driver.ts'

const KILLS = 12
const SEED = 20_261_120
const RECORDS = { plain: 5_000, lz4: 2_500, transactions: 4_000 }

/** Three topics: one plain, one compressed with lz4, one of two producers' interleaved transactions with aborts. */
async function makeTopics(): Promise<string[]> {
  const kafka = kafkaCluster()
  const [plain, lz4, transactions] = await Promise.all([
    createTopic(uniqueName('kills-plain'), { partitions: 2 }),
    createTopic(uniqueName('kills-lz4'), { partitions: 2 }),
    createTopic(uniqueName('kills-transactions'), { partitions: 2 }),
  ])
  await produce(kafka, { topic: plain, count: RECORDS.plain, keys: true, headers: 2, batchBytes: 4096 })
  await produce(kafka, { topic: lz4, count: RECORDS.lz4, keys: true, compression: 'lz4' })
  await produce(kafka, { topic: transactions, count: RECORDS.transactions, transactionRecords: 100, abortEvery: 4, producers: 2 })
  return [plain, lz4, transactions]
}

test(`a driver killed at ${KILLS} random moments reads what the Java client reads, each record once`, async () => {
  const random = seededRandom(SEED)
  const topics = await makeTopics()
  const byJava = await readByJava(topics)
  expect(byJava.length).toBeGreaterThanOrEqual(10_000)
  const folder = temporaryFolder()
  for (let kill = 0; kill < KILLS; kill++) {
    const driver = startDriver({ folder, topics }, '--until', 'latest')
    // Some die before they have the lease; the others after a few batches, at whatever they are doing by then.
    const batches = kill % 4 === 3 ? 0 : 1 + Math.floor(random.number() * 7)
    if (batches > 0) await driver.says('"batch completed"', batches)
    const delayMs = random.number() * (batches === 0 ? 600 : 25)
    setTimeout(() => driver.signal('SIGKILL'), delayMs)
    expect(await driver.ended).toMatchObject({ code: null, signal: 'SIGKILL' })
  }
  const { lastBatchId, epoch } = await snapshotOf(folder)
  expect(epoch).toBeGreaterThan(1)

  expect(await startDriver({ folder, topics }, '--until', 'latest').ended).toMatchObject({ code: 0, signal: null })
  expect((await snapshotOf(folder)).lastBatchId).toBeGreaterThan(lastBatchId)
  await checkOutcome(folder, byJava)
})
