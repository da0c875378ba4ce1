import { describe, expect, test } from 'vitest'
import { isRetryable } from '../../../src/core/errors.ts'
import type { ExecutorRun, TaskResult } from '../../../src/core/executor.ts'
import { threads } from '../../../src/executors/threads.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { contextWith, groupOf, never, threadsWorld } from './threads-world.ts'

const world = threadsWorld()
const { start } = world

/** As the dispatcher does: again, under a new attempt, what fails in a way that may pass. Says what failed. */
async function runAgain(run: ExecutorRun, partitions: readonly number[]) {
  const failures: unknown[] = []
  const one = async (partition: number): Promise<readonly TaskResult[]> => {
    try {
      return await run.run(groupOf(partition), { signal: never })
    } catch (error) {
      if (!isRetryable(error)) throw error
      failures.push(error)
      return one(partition)
    }
  }
  const results = await Promise.all(partitions.map(one))
  return { failures, results }
}

const PARTITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]

describe('a thread that dies costs only its tasks, and the batch completes', () => {
  test.each([
    ['exit', /ended with exit code 3/],
    ['uncaught', /ended by an error that nothing caught: PaymentError: nobody listens/],
    ['unhandled', /ended by an error that nothing caught: PaymentError: nobody awaits/],
    [
      'runOutOfMemory',
      /ran out of memory with a heap of 48 MiB \(raise maxHeapMiB of threads\(\), or lower limits\.maxRecordsPerTask or its concurrency\)/,
    ],
  ] as const)('%s', async (how, message) => {
    world.folder.setScript({ acts: { 5: { do: how, times: 1 } } })
    const run = await start(threads({ size: 2, maxHeapMiB: 48 }))
    const { failures, results } = await runAgain(run, PARTITIONS)
    expect(results.map(([result]) => result?.rows)).toEqual(PARTITIONS.map(() => 5))
    expect(failures.length).toBeGreaterThan(0)
    // A thread without memory cannot even say what it had done last.
    expect(failures.length).toBeLessThanOrEqual(how === 'runOutOfMemory' ? 8 : 4)
    const [first] = failures
    expect(first).toMatchObject({ name: 'TaskFailedError', code: 'TASK_FAILED', message: expect.stringMatching(message) })
    await waitUntil('another thread to open', async () => world.folder.said().filter(line => line === 'open').length === 3)
    expect((await runAgain(run, PARTITIONS)).failures).toEqual([])
  })
})

test('groups that had not begun in a thread that died run in another, and nobody hears of it', async () => {
  world.folder.setScript({ acts: { 0: { do: 'exit', times: 1 } } })
  const run = await start(threads({ size: 1, concurrency: 1 }))
  const ended = await Promise.allSettled([0, 1, 2].map(partition => run.run(groupOf(partition), { signal: never })))
  expect(ended.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
})

test('what had ended before its thread died stays done', async () => {
  world.folder.setScript({ acts: { 0: { do: 'waitForFile', name: 'go' } } })
  const run = await start(threads({ size: 1 }))
  const work = Promise.allSettled([0, 1].map(partition => run.run(groupOf(partition), { signal: never })))
  await waitUntil('the other to be written', async () => world.folder.count('wrote 1: 5').times === 1)
  world.folder.setScript({ acts: { 2: { do: 'exit' } } })
  const last = run.run(groupOf(2), { signal: never })
  await expect(last).rejects.toMatchObject({ retryable: true })
  expect((await work).map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
})

test('a task that takes three threads down is not run again, and those beside it are not blamed', async () => {
  world.folder.setScript({ acts: { 5: { do: 'exit', times: 99 } } })
  const run = await start(threads({ size: 1 }))
  const ended = await Promise.allSettled(PARTITIONS.slice(4, 8).map(partition => runAgain(run, [partition])))
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled'])
  const { reason } = ended[1] as PromiseRejectedResult
  expect(reason).toMatchObject({
    code: 'TASK_FAILED',
    retryable: false,
    message: expect.stringMatching(
      /t\/5 \[0, 5\) of batch 1 .* exit code 3.* number 3 to end with this task in it, so it is not run again/,
    ),
    details: { topic: 't', partition: 5, batchId: 1, deaths: 3 },
  })
  expect(world.folder.count('act 5').times).toBe(3)
})

test('a thread that dies between batches is replaced before anybody asks', async () => {
  world.folder.setScript({ acts: { 0: { do: 'uncaught' } } })
  const run = await start(threads({ size: 1 }))
  await expect(run.run(groupOf(0), { signal: never })).rejects.toMatchObject({ retryable: true })
  await waitUntil('another thread to open', async () => world.folder.said().filter(line => line === 'open').length === 2)
})

test('while no thread can be opened again, groups go back with why, and run once one can', async () => {
  world.folder.setScript({ acts: { 0: { do: 'exit', times: 1 } } })
  const troubles: unknown[] = []
  const run = await start(threads({ size: 1 }), contextWith({ onTrouble: error => troubles.push(error) }))
  const first = run.run(groupOf(0), { signal: never })
  world.folder.setScript({ acts: { 0: { do: 'exit', times: 1 } }, open: 'connection' })
  await expect(first).rejects.toMatchObject({ code: 'TASK_FAILED' })
  const away = { name: 'ConnectionError', message: 'The journal is away.', retryable: true }
  await expect(run.run(groupOf(1), { signal: never })).rejects.toMatchObject(away)
  expect(troubles[0]).toMatchObject(away)
  world.folder.setScript({})
  const { results } = await runAgain(run, [1])
  expect(results[0]?.[0]?.rows).toBe(5)
})
