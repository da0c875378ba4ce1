import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeTopic } from '../bench/topics.ts'
import { kafkaClient, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { copyDestination, forgetTask } from './matrix/destination-copy.ts'
import { destinationState } from './matrix/destination-state.ts'
import { MatrixTopic } from './matrix/matrix-topic.ts'
import type { MatrixStream } from './matrix/plan.ts'
import { withPostgres } from './matrix/read-output.ts'
import { startMatrix } from './matrix/run-matrix.ts'
import { adopt, expectExactlyOnce, expectRefused, replay, runBatches, runOn, snapshotOf } from './witness-world.ts'

const TIMEOUT = { timeout: 180_000 }

let topic: MatrixTopic

beforeAll(async () => {
  topic = await MatrixTopic.fill('witness', 500)
})

afterAll(() => topic[Symbol.asyncDispose]())

/** A topic under the name of one that was deleted. */
async function makeAnew(name: string): Promise<void> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    await admin.deleteTopics({ topics: [name] })
    await waitUntil(`${name} to be gone`, async () => !(await admin.listTopics()).includes(name))
  } finally {
    await admin.disconnect()
  }
  await makeTopic(kafkaCluster(), name, 2)
}

describe('a store stops a stream whose destination', () => {
  test.for(['postgres append', 'postgres upsert', 'redis'] as const)(
    'was put back to a copy from before: %s; replayed and adopted, it has each record once',
    TIMEOUT,
    async output => {
      const stream = await topic.stream('redis', output)
      // Its third batch is in, and no fence has said yet that it is complete: a replay of it would double it.
      await runBatches(stream, 3)
      const putBack = await copyDestination(stream)
      await runBatches(stream, 2)
      await putBack()
      const sentence = await expectRefused(stream, { code: 1 })
      expect(sentence).toContain(`does not have batches 4 to 5 of stream ${stream.stream}, which the offset store says are complete`)
      expect(sentence).toContain('Of batch 3 it has 2 tasks')
      await replay(stream, sentence)
      await adopt(stream, sentence)
      await expectExactlyOnce(stream, topic.byJava)
    },
  )

  test.for(['postgres append', 'redis'] as const)(
    'was put back while its driver runs on: %s; it stops before the next batch writes',
    TIMEOUT,
    async output => {
      const stream = await topic.stream('sqlite', output)
      await runBatches(stream, 2)
      const putBack = await copyDestination(stream)
      // The start's fence, those of batches 3 and 4, and then that of batch 5.
      const driver = startMatrix(stream, 'stop before fence 4')
      await driver.says('struck')
      await putBack()
      const before = await destinationState(stream, kafkaCluster())
      driver.wake()
      expect(await driver.ended).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('does not have batches 3 to 4') })
      expect(await destinationState(stream, kafkaCluster())).toEqual(before)

      // Batch 5 stays begun, and comes when the others are back.
      const sentence = await expectRefused(stream, { code: 1 })
      expect(sentence).toContain('does not have batches 3 to 4')
      await replay(stream, sentence)
      await adopt(stream, sentence)
      await expectExactlyOnce(stream, topic.byJava)
    },
  )

  test('was emptied: all is replayed', TIMEOUT, async () => {
    const stream = await topic.stream('sqlite', 'postgres append')
    await runOn(stream)
    await withPostgres(stream.postgres, client =>
      client.query(`begin; truncate ${stream.target}; delete from tidemark.sink_fences where stream = '${stream.stream}';
        delete from tidemark.sink_ledger where stream = '${stream.stream}'; commit`),
    )
    const { lastBatchId } = await snapshotOf(stream)
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain(`does not have batches up to ${lastBatchId} of stream`)
    await replay(stream, sentence)
    await adopt(stream, sentence)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test('lost the end of the last batch: what is left of it is told, to be deleted before the replay', TIMEOUT, async () => {
    const stream = await topic.stream('zookeeper', 'postgres append')
    await runBatches(stream, 3)
    await forgetTask(stream, 3, 0)
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain('does not have batch 3 of stream')
    expect(sentence).toContain('Of batch 3 it has 1 of 2 tasks, and an output that appends holds their rows twice after a replay')
    await forgetTask(stream, 3, 1)
    await replay(stream, sentence)
    await adopt(stream, sentence)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test('is a topic that was made anew, its ledger too: all is replayed', TIMEOUT, async () => {
    const before = await topic.stream('kafka', 'kafka', { ledgerTopic: uniqueName('ledger') })
    await runBatches(before, 4)
    await makeAnew(before.target)
    const stream: MatrixStream = { ...before, ledgerTopic: uniqueName('ledger') }
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain('does not have batches up to 4 of stream')
    await replay(stream, sentence)
    await adopt(stream, sentence)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test('is a topic whose ledger is gone and whose records are there: adopted, it goes on', TIMEOUT, async () => {
    const before = await topic.stream('postgres', 'kafka', { ledgerTopic: uniqueName('ledger') })
    await runBatches(before, 4)
    const stream: MatrixStream = { ...before, ledgerTopic: uniqueName('ledger') }
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain('does not have batches up to 4 of stream')
    await adopt(stream, sentence)
    await expectExactlyOnce(stream, topic.byJava)
  })
})
