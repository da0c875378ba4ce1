import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { TidemarkProcess, tidemark } from '../src/cli/tidemark-process.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { outOf, type Place, placesByJava, placesIn, writePlacesJob } from './files-of-places.ts'

let topic: string
let byJava: readonly Place[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('surgery'), { partitions: 3 })
  // Every fifth transaction aborted, so that offsets and records are not the same.
  await produce(kafkaCluster(), { topic, count: 600, transactionRecords: 20, abortEvery: 5 })
  byJava = await placesByJava(topic)
  expect(byJava.length).toBeGreaterThan(400)
})

async function afterRun(): Promise<string> {
  const cwd = temporaryFolder()
  writePlacesJob(cwd, topic)
  expect(await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })).toMatchObject({ code: 0 })
  expect(await placesIn(outOf(cwd))).toEqual(byJava)
  return cwd
}

async function json(args: readonly string[], cwd: string): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await tidemark([...args, '--json'], { cwd })
  expect(code, stderr).toBe(0)
  return JSON.parse(stdout)
}

test('after a reset to earliest everything is read once more, under new batches', async () => {
  const cwd = await afterRun()
  const { lastBatchId } = (await json(['offsets', 'reset', 'orders.ts', '--to', 'earliest', '--yes'], cwd)) as { lastBatchId: number }
  await json(['run', 'orders.ts', '--until', 'latest'], cwd)
  expect(await placesIn(outOf(cwd), ({ batchId }) => batchId > lastBatchId)).toEqual(byJava)
})

test('after a rewind the batches that were taken back are read once more, and nothing else', async () => {
  const cwd = await afterRun()
  const { lastBatchId } = (await json(['offsets', 'rewind', 'orders.ts', '--batches', '2', '--yes'], cwd)) as { lastBatchId: number }
  const takenBack = await placesIn(outOf(cwd), ({ batchId }) => batchId > lastBatchId - 2)
  await json(['run', 'orders.ts', '--until', 'latest'], cwd)
  const again = await placesIn(outOf(cwd), ({ batchId }) => batchId > lastBatchId)
  expect(again).toEqual(takenBack)
  expect(again.length).toBeGreaterThan(0)
})

test('a replay of every batch gives what the Java client reads, and leaves the stream as it is', async () => {
  const cwd = await afterRun()
  const before = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
  const { lastBatchId } = JSON.parse(before.stdout) as { lastBatchId: number }
  const ids = Array.from({ length: lastBatchId }, (_, index) => ['--batch', String(index + 1)]).flat()
  expect(await json(['replay', 'orders.ts', ...ids, '--yes'], cwd)).toMatchObject({
    name: 'orders~replay-1',
    reason: 'done',
    batchesRun: lastBatchId,
  })
  expect(await placesIn(`${outOf(cwd)}~replay-1`)).toEqual(byJava)
  expect((await tidemark(['offsets', 'export', 'orders.ts'], { cwd })).stdout).toBe(before.stdout)
})

test('while a driver runs it is refused, and with --steal the driver stops with FencedError', async () => {
  const cwd = await afterRun()
  const driver = new TidemarkProcess(['run', 'orders.ts'], { cwd })
  await driver.says('"stream started"')
  const refused = await tidemark(['offsets', 'reset', 'orders.ts', '--to', 'earliest', '--yes'], { cwd })
  expect(refused).toMatchObject({
    code: 4,
    stdout: '',
    stderr: expect.stringMatching(/^tidemark: orders is driven by .+:\d+:.+ \(epoch 2\), whose lease/),
  })
  expect(await json(['offsets', 'reset', 'orders.ts', '--to', 'latest', '--dry-run'], cwd)).toMatchObject({ changed: false })

  await json(['offsets', 'reset', 'orders.ts', '--to', 'earliest', '--yes', '--steal'], cwd)
  expect(await driver.ended).toMatchObject({ code: 4, stderr: expect.stringContaining('Another driver took over; this one stops.') })
  const shown = (await json(['offsets', 'show', 'orders.ts'], cwd)) as { partitions: { committed: number }[] }
  expect(shown.partitions.map(at => at.committed)).toEqual([0, 0, 0])
})

test('a replay runs beside the driver', async () => {
  const cwd = await afterRun()
  const driver = new TidemarkProcess(['run', 'orders.ts'], { cwd })
  await driver.says('"stream started"')
  const first = await placesIn(outOf(cwd), ({ batchId }) => batchId === 1)
  expect(await json(['replay', 'orders.ts', '--batch', '1', '--yes'], cwd)).toMatchObject({ reason: 'done' })
  expect(await placesIn(`${outOf(cwd)}~replay-1`)).toEqual(first)
  driver.signal('SIGTERM')
  expect(await driver.ended).toMatchObject({ code: 0 })
})

test('a stream that was exported and imported goes on where it stood', async () => {
  const cwd = temporaryFolder()
  writePlacesJob(cwd, topic)
  expect(await tidemark(['offsets', 'reset', 'orders.ts', '--to', 'earliest', '--yes'], { cwd })).toMatchObject({ code: 0 })
  const { stdout: input } = await tidemark(['offsets', 'export', 'orders.ts'], { cwd })
  expect(await tidemark(['offsets', 'import', 'orders.ts', '-', '--store', 'sqlite:other.db', '--yes'], { cwd, input })).toMatchObject({
    code: 0,
  })
  await json(['run', 'orders.ts', '--until', 'latest', '--store', 'sqlite:other.db'], cwd)
  expect(await placesIn(outOf(cwd))).toEqual(byJava)
  const marker = JSON.parse(readFileSync(`${outOf(cwd)}/_tidemark/output.json`, 'utf8')) as { streamId: string }
  expect(marker.streamId).toBe((JSON.parse(input) as { streamId: string }).streamId)
})
