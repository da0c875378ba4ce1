import { expect, test } from 'vitest'
import { silentLog } from '../../../src/core/log.ts'
import type { Stage } from '../../../src/core/runnable-job.ts'
import { runTasks } from '../../../src/core/task-runner.ts'
import { ManualClock } from '../../../src/testing/index.ts'
import { keeping, NO_LOSS, numbered, RANGE, row } from './range-world.ts'

/** Of a task whose rows come in arrays of 256. `during` sees how many signs of life there were before each record. */
async function runWatched(stagesOf: (noteRecord: () => void) => readonly Stage[]): Promise<number[]> {
  let signs = 0
  const before: number[] = []
  const { name, sink } = keeping('kept')
  const stages = stagesOf(() => {
    before.push(signs)
  })
  const tasks = [{ stream: 's', batchId: 1, epoch: 1, index: 0, range: RANGE, batchTime: 0, output: name, attempt: 'a' }]
  const group = {
    range: RANGE,
    isolation: 'read_committed',
    timeoutMs: 600_000,
    onDataLoss: NO_LOSS,
    onRecordError: 'fail',
    tasks,
  } as const
  const context = { clock: new ManualClock(), log: silentLog, signal: new AbortController().signal }
  const job = { stream: 's', outputs: new Map([[name, { name, source: numbered(), stages, sink }]]) }
  await runTasks(job, group, { ...context, onProgress: () => void signs++ })
  return before
}

/** The most records that were worked on without a sign of life between them. */
function longestSilence(before: readonly number[]): number {
  return Math.max(
    ...Map.groupBy(before, signs => signs)
      .values()
      .map(({ length }) => length),
  )
}

test('a function that keeps its thread is seen to move in the midst of an array', async () => {
  const before = await runWatched(note => [row('map', 'slow', note)])
  expect(longestSilence(before)).toBeLessThanOrEqual(16)
})

test('an asynchronous function is seen to move with every record', async () => {
  const before = await runWatched(note => [
    row('map', 'asks', async record => {
      await undefined
      note()
      return record
    }),
  ])
  // As many as run side by side, and the first of an array, which shows that it is asynchronous.
  expect(longestSilence(before)).toBeLessThanOrEqual(5)
})

test('a filter that lets nothing through is seen to move', async () => {
  const before = await runWatched(note => [row('filter', 'none', note)])
  expect(longestSilence(before)).toBeLessThanOrEqual(16)
})

test('a mapRange that yields nothing before its end is seen to move with every array that it takes', async () => {
  const before = await runWatched(note => [
    {
      kind: 'mapRange',
      label: 'mapRange (sums)',
      async *apply(rows: AsyncIterable<readonly never[]>) {
        let sum = 0
        for await (const array of rows) {
          note()
          sum += array.length
        }
        yield [sum]
      },
    },
  ])
  expect(before.length).toBeGreaterThan(5)
  expect(longestSilence(before)).toBe(1)
})
