import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ExecutorRun } from '../../../src/core/executor.ts'
import type { RunnableJob } from '../../../src/core/runnable-job.ts'
import { threads } from '../../../src/executors/threads.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { contextWith, door, groupOf, makeFolder, never } from './threads-world.ts'

let folder: ReturnType<typeof makeFolder>
let job: RunnableJob
const runs: ExecutorRun[] = []

beforeEach(async () => {
  folder = makeFolder()
  job = door((await import('./jobs/scripted.ts')).job).runnable()
})

afterEach(async () => {
  for (const run of runs.splice(0)) await run.close()
  folder.remove()
})

async function start(executor = threads({ size: 2 })): Promise<ExecutorRun> {
  const run = await executor.start(job, contextWith())
  runs.push(run)
  return run
}

const again = (run: ExecutorRun, partitions: readonly number[]) =>
  Promise.all(partitions.map(partition => run.run(groupOf(partition), { signal: never })))

test('a task that keeps its thread is ended by its deadline, and those beside it may run again', { timeout: 40_000 }, async () => {
  folder.setScript({ acts: { 0: { do: 'waitForFile', name: 'go' }, 1: { do: 'loop', times: 1 } } })
  const run = await start(threads({ size: 1, concurrency: 2 }))
  const beside = run.run(groupOf(0), { signal: never })
  const stuck = run.run(groupOf(1, { timeoutMs: 300 }), { signal: never })
  const ended = await Promise.allSettled([beside, stuck])
  expect(ended).toMatchObject([
    { reason: { code: 'TASK_FAILED', retryable: true, details: { deaths: 0 } } },
    {
      reason: {
        code: 'TIMEOUT',
        retryable: true,
        message: expect.stringMatching(/t\/1 \[0, 5\) of batch 1 did not end within taskTimeoutMs, 300 ms/),
      },
    },
  ])
  writeFileSync(join(folder.path, 'go'), '')
  expect(await again(run, [0, 1])).toMatchObject([[{ rows: 5 }], [{ rows: 5 }]])
})

test('a task that keeps its thread is ended when it is aborted, with the reason', { timeout: 40_000 }, async () => {
  folder.setScript({ acts: { 0: { do: 'loop', times: 1 } } })
  const run = await start(threads({ size: 1 }))
  const abort = new AbortController()
  const reason = new Error('enough')
  const stuck = run.run(groupOf(0), { signal: abort.signal })
  await waitUntil('the loop to begin', async () => folder.count('act 0').times === 1)
  abort.abort(reason)
  await expect(stuck).rejects.toBe(reason)
  expect(await again(run, [1])).toMatchObject([[{ rows: 5 }]])
})

test('a task that keeps its thread does not keep the run from closing', { timeout: 40_000 }, async () => {
  folder.setScript({ acts: { 0: { do: 'loop', times: 1 } } })
  const run = await start(threads({ size: 1 }))
  const stuck = run.run(groupOf(0), { signal: never })
  const ended = expect(stuck).rejects.toThrow(/executor is closed/)
  await waitUntil('the loop to begin', async () => folder.count('act 0').times === 1)
  await run.close()
  await ended
})
