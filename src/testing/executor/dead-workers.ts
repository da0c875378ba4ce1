import assert from 'node:assert/strict'
import { isRetryable, isTidemarkError } from '../../core/errors.ts'
import { silentLog } from '../../core/log.ts'
import { type DefineTest, failure, giveUntilDone, group, isSame, span } from './contract.ts'

/** Workers that end by themselves: out of memory, a native crash, a library that calls `process.exit`. */
export function defineDeadWorkerTests(test: DefineTest): void {
  test('a worker that exits costs only its tasks, which can be run again and then succeed', async world => {
    const { stream, ledger, notes } = world
    const dying = group(stream, { topic: 'exits-once', outputs: ['ledger'] })
    const others = span(1, 31).map(index =>
      group(stream, { partition: index % 10, from: index, until: index + 20, outputs: ['ledger'], index }),
    )
    await Promise.all([dying, ...others].map(one => giveUntilDone(world, one)))
    const rows = new Map(ledger().map(entry => [entry.task.index, entry.rows]))
    assert.deepEqual(rows.get(0), span(0, 10))
    for (const { range, tasks } of others) assert.deepEqual(rows.get(tasks[0]?.index ?? -1), span(range.fromOffset, range.untilOffset))
    const ran = notes().flatMap(entry => (entry.what === 'rows' && entry.task.index === 0 ? [entry] : []))
    const [first, second] = ran
    assert.ok(first !== undefined && second !== undefined && !isSame(first, second), 'the task ran in one worker only')
  })

  test('a group whose worker always dies ends with an error that names it and cannot be tried again', async world => {
    const dying = group(world.stream, { topic: 'always-exits' })
    const error = await failure(giveUntilDone(world, dying))
    assert.ok(isTidemarkError(error), String(error))
    assert.equal(isRetryable(error), false)
    assert.match(error.message, /always-exits\/0 \[0, 10\)/)
    assert.equal((await giveUntilDone(world, group(world.stream, { index: 1 })))[0]?.rows, 10)
  })

  test('a job that was put together by hand, which no worker could import, is refused at the start', async ({ executor, job, stream }) => {
    const { origin: _, ...byHand } = job
    const never = new AbortController().signal
    const error = await failure(executor.start(byHand, { streamId: `id of ${stream}`, log: silentLog, signal: never }))
    assert.ok(isTidemarkError(error, 'JOB') || isTidemarkError(error, 'CONFIG'), String(error))
  })
}
