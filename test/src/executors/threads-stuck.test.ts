import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { ExecutorRun } from '../../../src/core/executor.ts'
import { threads } from '../../../src/executors/threads.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { groupOf, never, threadsWorld } from './threads-world.ts'

const world = threadsWorld()
const { start } = world

const again = (run: ExecutorRun, partitions: readonly number[]) =>
  Promise.all(partitions.map(partition => run.run(groupOf(partition), { signal: never })))

test('a task that keeps its thread is ended by its deadline, and those beside it may run again', { timeout: 40_000 }, async () => {
  world.folder.setScript({ acts: { 0: { do: 'waitForFile', name: 'go' }, 1: { do: 'loop', times: 1 } } })
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
  writeFileSync(join(world.folder.path, 'go'), '')
  expect(await again(run, [0, 1])).toMatchObject([[{ rows: 5 }], [{ rows: 5 }]])
})

test('a task that keeps its thread is ended when it is aborted, with the reason', { timeout: 40_000 }, async () => {
  world.folder.setScript({ acts: { 0: { do: 'loop', times: 1 } } })
  const run = await start(threads({ size: 1 }))
  const abort = new AbortController()
  const reason = new Error('enough')
  const stuck = run.run(groupOf(0), { signal: abort.signal })
  await waitUntil('the loop to begin', async () => world.folder.count('act 0').times === 1)
  abort.abort(reason)
  await expect(stuck).rejects.toBe(reason)
  expect(await again(run, [1])).toMatchObject([[{ rows: 5 }]])
})

test('a task that keeps its thread does not keep the run from closing', { timeout: 40_000 }, async () => {
  world.folder.setScript({ acts: { 0: { do: 'loop', times: 1 } } })
  const run = await start(threads({ size: 1 }))
  const stuck = run.run(groupOf(0), { signal: never })
  const ended = expect(stuck).rejects.toThrow(/executor is closed/)
  await waitUntil('the loop to begin', async () => world.folder.count('act 0').times === 1)
  await run.close()
  await ended
})
