import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type JsonlFile, jsonlSink, listJsonlFiles } from '../../../connectors/files/index.ts'
import { context, rowsOf, running, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** Writes `[batch, from, until]` of one partition and lists them with the batch that supersedes each. */
async function listAfter(...written: readonly (readonly [batch: number, from: number, until: number])[]) {
  const directory = temporaryFolder()
  const sink = jsonlSink({ directory })
  for (const [batchId, fromOffset, untilOffset] of written) {
    await sink.write(task({ batchId, range: { fromOffset, untilOffset } }), rowsOf([batchId]), running)
  }
  const files = await listJsonlFiles(directory)
  const byPath = new Map(files.map(file => [file.path, file]))
  return files.map((file: JsonlFile) => [file.batchId, file.fromOffset, byPath.get(file.supersededBy ?? '')?.batchId])
}

test('files of a log that was read once all count', async () => {
  expect(await listAfter([2, 10, 20], [1, 0, 10], [3, 20, 30])).toEqual([
    [1, 0, undefined],
    [2, 10, undefined],
    [3, 20, undefined],
  ])
})

test('after a rewind the higher batch counts, where files overlap wholly or partly', async () => {
  expect(await listAfter([1, 0, 10], [2, 10, 20], [3, 20, 30], [4, 5, 15], [5, 15, 22], [6, 12, 14])).toEqual([
    [1, 0, 4],
    [4, 5, 6],
    [2, 10, 6],
    [6, 12, undefined],
    [5, 15, undefined],
    [3, 20, 5],
  ])
})

test('slices of one batch do not supersede each other, nor do other partitions', async () => {
  const directory = temporaryFolder()
  const sink = jsonlSink({ directory })
  for (const [partition, fromOffset, batchId] of [
    [1, 120, 7],
    [1, 150, 7],
    [2, 120, 9],
    [10, 120, 8],
  ] as const) {
    await sink.write(task({ batchId, range: { partition, fromOffset, untilOffset: fromOffset + 30 } }), rowsOf([1]), running)
  }
  const files = await listJsonlFiles(directory)
  expect(files.map(file => [file.partition, file.fromOffset, file.supersededBy])).toEqual([
    [1, 120, undefined],
    [1, 150, undefined],
    [2, 120, undefined],
    [10, 120, undefined],
  ])
})

test('what the sink did not write is not listed, and no directory is an empty list', async () => {
  const directory = temporaryFolder()
  const sink = jsonlSink({ directory })
  await sink.prepare?.(context())
  await sink.write(task(), rowsOf([1]), running)
  mkdirSync(join(directory, 'orders', 'not-a-partition'))
  for (const path of [
    'orders/3/notes.jsonl',
    'orders/3/0-5-b1.jsonl',
    'orders/not-a-partition/0000000000000000-0000000000000001-b1.jsonl',
    'x.jsonl',
  ]) {
    writeFileSync(join(directory, path), '')
  }
  expect((await listJsonlFiles(directory)).map(file => file.batchId)).toEqual([7])
  expect(await listJsonlFiles(join(directory, 'nowhere'))).toEqual([])
})
