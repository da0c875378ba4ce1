import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { checkOutcome, type Row, readByJava } from './check-outcome.ts'
import { startDriver } from './crash-driver.ts'

const POINTS = [
  ...['before acquire 1', 'after acquire 1'],
  ...['before reset 1', 'after reset 1'],
  ...['before begin 2', 'after begin 2'],
  ...['before fence 1', 'after fence 1', 'before fence 3', 'after fence 3'],
  ...['before write 4', 'before rename 4', 'after rename 4', 'after write 4'],
  ...['before commitBatch 2', 'after commitBatch 2'],
  ...['before commit 2', 'after commit 2'],
  ...['before release 1', 'after release 1'],
]

let topic: string
let byJava: readonly Row[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('kill-points'), { partitions: 3 })
  await produce(kafkaCluster(), { topic, count: 600, keys: true, headers: 1 })
  byJava = await readByJava([topic])
  expect(byJava).toHaveLength(600)
})

describe('a driver killed', () => {
  test.for(POINTS)('%s loses and doubles nothing', async point => {
    const folder = temporaryFolder()
    const killed = await startDriver({ folder, topics: [topic], batch: 150, strike: `kill ${point}` }, '--until', 'latest').ended
    expect(killed).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining(`struck ${point.replace(/ \d+$/, '')}`) })

    const next = await startDriver({ folder, topics: [topic], batch: 150 }, '--until', 'latest').ended
    expect(next).toMatchObject({ code: 0, stdout: expect.stringMatching(/^crash: done, /) })
    await checkOutcome(folder, byJava)
  })
})
