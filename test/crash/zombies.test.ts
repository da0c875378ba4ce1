import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import type { Ended } from '../src/cli/node-process.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { checkOutcome, type Row, readByJava, snapshotOf } from './check-outcome.ts'
import { startDriver } from './crash-driver.ts'

const FENCED = 4
let topic: string
let byJava: readonly Row[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('zombies'), { partitions: 2 })
  await produce(kafkaCluster(), { topic, count: 600, keys: true })
  byJava = await readByJava([topic])
})

/** Everything a zombie could touch: the stream in its store, and each file with its content and the time it was made. */
async function stateOf(folder: string) {
  const files = await listJsonlFiles(join(folder, 'rows'))
  const contents = files.map(async ({ path }) => ({ path, text: await readFile(path, 'utf8'), inode: (await stat(path)).ino }))
  return { stream: await snapshotOf(folder), files: await Promise.all(contents) }
}

/** Pauses a driver at `point`, lets another one finish the stream, wakes the first, and gives how that ended. */
async function wakeAfterTakeover(point: string, ttlMs: number, ...takeOver: string[]): Promise<Ended> {
  const options = { folder: temporaryFolder(), topics: [topic], batch: 200, ttlMs }
  const zombie = startDriver({ ...options, strike: `stop ${point}` }, '--until', 'latest')
  await zombie.says('struck')

  expect(await startDriver(options, '--until', 'latest', ...takeOver).ended).toMatchObject({ code: 0 })
  await checkOutcome(options.folder, byJava)
  const before = await stateOf(options.folder)

  zombie.wake()
  const ended = await zombie.ended
  expect(await stateOf(options.folder)).toEqual(before)
  return ended
}

const POINTS = [
  'before begin 2',
  'after begin 2',
  'before write 3',
  'before rename 3',
  'after rename 3',
  'before commit 2',
  'after commit 2',
]

describe('a driver paused and taken over is fenced when it wakes, and changes nothing', () => {
  test.for(POINTS)('%s', async point => {
    const ended = await wakeAfterTakeover(point, 500)
    expect(ended).toMatchObject({ code: FENCED, stderr: expect.stringContaining('Another driver took over') })
  })

  // With a long lease the store is not asked in time, so whoever the zombie meets first must refuse it.
  test.for(['before write 3', 'before rename 3', 'after rename 3', 'before commit 2'])(
    '%s, by --steal, long before it would renew its lease',
    async point => {
      const ended = await wakeAfterTakeover(point, 60_000, '--steal')
      expect(ended).toMatchObject({ code: FENCED, stderr: expect.stringContaining('Another driver took over') })
    },
  )
})
