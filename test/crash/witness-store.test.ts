import { cp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import { MatrixTopic } from './matrix/matrix-topic.ts'
import type { MatrixStream, OutputKind, StoreKind } from './matrix/plan.ts'
import { withStore } from './matrix/stores.ts'
import {
  adopt,
  expectExactlyOnce,
  expectRefused,
  passEpoch,
  replaceStream,
  resetTo,
  runBatches,
  runOn,
  snapshotOf,
} from './witness-world.ts'

/** Each store and each output that has a fence, once. */
const PAIRS: readonly { readonly store: StoreKind; readonly output: OutputKind }[] = [
  { store: 'sqlite', output: 'postgres append' },
  { store: 'redis', output: 'postgres upsert' },
  { store: 'postgres', output: 'redis' },
  { store: 'zookeeper', output: 'kafka' },
  { store: 'kafka', output: 'files' },
]
const TIMEOUT = { timeout: 180_000 }

let topic: MatrixTopic

beforeAll(async () => {
  topic = await MatrixTopic.fill('witness', 500)
})

afterAll(() => topic[Symbol.asyncDispose]())

/** What a directory of files asks for beside `--adopt`: it goes by the batch numbers in their names. */
async function moveFilesAway({ folder }: MatrixStream, sentence: string): Promise<void> {
  const [, from, to] = /move away the files of batches (\d+) to (\d+)/.exec(sentence) ?? []
  const unknown = (await listJsonlFiles(join(folder, 'rows'))).filter(({ batchId }) => batchId >= Number(from) && batchId <= Number(to))
  expect(unknown, sentence).not.toEqual([])
  for (const { path } of unknown) await rm(path)
}

describe('a destination stops a stream whose store', () => {
  test.for(PAIRS)('was deleted: $store, by $output', TIMEOUT, async ({ store, output }) => {
    const stream = await topic.stream(store, output)
    const last = await runBatches(stream, 4)
    await replaceStream(stream)
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toMatch(/store was replaced/)
    if (output === 'files') {
      await moveFilesAway(stream, await expectRefused(stream, { code: 1, args: ['--adopt', `files:${join(stream.folder, 'rows')}`] }))
    } else await resetTo(stream, last)
    await adopt(stream, sentence)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test.for(PAIRS)('was rolled back, also where its epochs went on: $store, by $output', TIMEOUT, async ({ store, output }) => {
    const stream = await topic.stream(store, output)
    const early = await runBatches(stream, 2)
    const late = await runBatches(stream, 3)
    await replaceStream(stream, early)
    await passEpoch(stream, late.epoch)
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain('the store was rolled back')
    if (output === 'files') {
      await moveFilesAway(stream, sentence)
      await adopt(stream, sentence)
    } else {
      // Rows with a key may be written over; others are passed over, and the numbers of their batches are given to later ranges.
      if (output !== 'postgres upsert') await resetTo(stream, late)
      await adopt(stream, sentence)
    }
    await expectExactlyOnce(stream, topic.byJava)
  })

  test.for(PAIRS)('granted an epoch twice: $store, by $output', TIMEOUT, async ({ store, output }) => {
    const stream = await topic.stream(store, output)
    const early = await runBatches(stream, 2)
    const late = await runBatches(stream, 2)
    await replaceStream(stream, early)
    const sentence = await expectRefused(stream, { code: 1 })
    expect(sentence).toContain(`Epoch ${late.epoch} of stream ${stream.stream} was granted twice`)
    await replaceStream(stream, late)
    await runOn(stream)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test('was put back as a file from before the last starts', TIMEOUT, async () => {
    const stream = await topic.stream('sqlite', 'postgres append')
    const rows = stream.folder
    await runBatches(stream, 2)
    await cp(rows, `${rows}-early`, { recursive: true })
    await runBatches(stream, 1)
    await runBatches(stream, 1)
    await rename(rows, `${rows}-late`)
    await rename(`${rows}-early`, rows)
    const sentence = await expectRefused(stream, { code: 4 })
    expect(sentence).toContain('If there is none, the offset store was rolled back: restore it')
    await rm(rows, { recursive: true })
    await rename(`${rows}-late`, rows)
    await runOn(stream)
    await expectExactlyOnce(stream, topic.byJava)
  })

  test('is another one that has a stream of this name', TIMEOUT, async () => {
    const stream = await topic.stream('postgres', 'redis')
    await runBatches(stream, 3)
    const other: MatrixStream = { ...stream, store: 'sqlite' }
    const elsewhere = { ...other, output: 'files' } as const
    const { epoch } = await runBatches(elsewhere, 5)
    await passEpoch(other, epoch)
    const sentence = await expectRefused(other, { code: 1 })
    const { streamId } = await snapshotOf(stream)
    expect(sentence).toContain(`has the rows of stream ${stream.stream} with id ${streamId}`)
    expect(sentence).toContain('two streams share this name')
    await runOn(stream)
    await expectExactlyOnce(stream, topic.byJava)
    await withStore(other, async store => expect((await store.read(stream.stream)).lastBatchId).toBe(5))
  })
})
