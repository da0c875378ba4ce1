import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { checkOutcome, type Row, readByJava, snapshotOf } from './check-outcome.ts'
import { type CrashOptions, startDriver } from './crash-driver.ts'

let topic: string
let byJava: readonly Row[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('signals'), { partitions: 2 })
  await produce(kafkaCluster(), { topic, count: 300 })
  byJava = await readByJava([topic])
})

const options = (strike?: string): CrashOptions => ({
  folder: temporaryFolder(),
  topics: [topic],
  batch: 100,
  ...(strike !== undefined && { strike }),
})

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', signal => {
  test('finishes and commits the batch in hand, begins no other, and ends with 0', async () => {
    const { folder, ...rest } = options('stop before write 3')
    const driver = startDriver({ folder, ...rest })
    await driver.says('struck')
    driver.signal(signal)
    driver.wake()
    expect(await driver.ended).toMatchObject({ code: 0, stdout: 'crash: stopped, 200 records in 2 batches\n' })
    expect(await snapshotOf(folder)).toMatchObject({ lastBatchId: 2, pending: null })
  })

  test('a second time ends at once with 130; the batch stays begun, and the next run replays it', async () => {
    const { folder, ...rest } = options('hang before write 3')
    const driver = startDriver({ folder, ...rest }, '--progress')
    await driver.says('struck')
    driver.signal(signal)
    await driver.says('stopping when the batch in hand is committed')
    const askedAt = performance.now()
    driver.signal(signal)
    expect(await driver.ended).toMatchObject({ code: 130, stdout: '' })
    expect(performance.now() - askedAt).toBeLessThan(2_000)
    expect(await snapshotOf(folder)).toMatchObject({ lastBatchId: 1, pending: { id: 2, epoch: 1 } })

    const next = await startDriver({ folder, topics: [topic] }, '--until', 'latest', '--progress').ended
    expect(next).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/replaying batch 2, begun \d{4}-.*:\n {2}signals-.*\/0 \[50, 100\)\n/),
    })
    await checkOutcome(folder, byJava)
  })

  test('ends a run that stands by with 0, and leaves the stream to the one that runs', async () => {
    const { folder, ...rest } = options()
    const first = startDriver({ folder, ...rest })
    await first.says('"lag":0')
    const second = startDriver({ folder, ...rest })
    await second.says('standing by')
    second.signal(signal)
    expect(await second.ended).toMatchObject({ code: 0, stdout: 'crash: stopped, 0 records in 0 batches\n' })
    first.signal(signal)
    expect(await first.ended).toMatchObject({ code: 0 })
    expect((await snapshotOf(folder)).epoch).toBe(1)
    await checkOutcome(folder, byJava)
  })

  test('before the run has started ends it as soon as it has, with 0 and nothing begun', async () => {
    const { folder, ...rest } = options('stop before acquire 1')
    const driver = startDriver({ folder, ...rest })
    await driver.says('struck')
    driver.signal(signal)
    driver.wake()
    expect(await driver.ended).toMatchObject({ code: 0, stdout: 'crash: stopped, 0 records in 0 batches\n' })
    expect(await snapshotOf(folder)).toMatchObject({ lastBatchId: 0, pending: null })
  })
})

test('a second Ctrl-C also ends a start that hangs', async () => {
  const driver = startDriver(options('hang before acquire 1'), '--progress')
  await driver.says('struck')
  driver.signal('SIGINT')
  await driver.says('stopping')
  driver.signal('SIGINT')
  expect(await driver.ended).toMatchObject({ code: 130 })
})
