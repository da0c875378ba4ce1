import assert from 'node:assert/strict'
import { type DefineTest, failure, group, refused, rowsOf, workerReading } from './contract.ts'

/** A driver that was taken over may still give out work, and may have some under way. */
export function defineEpochTests(test: DefineTest): void {
  test('tasks of an older epoch end where they run when a newer driver of the stream is there, and write nothing more', async world => {
    const { stream, give, start, another, openGate, notes } = world
    const old = group(stream, { topic: 'held', until: 20, epoch: 1 })
    const call = failure(give(old))
    await workerReading(world, old)
    const newer = await start(await another())
    const replay = group(stream, { topic: 'held', until: 20, epoch: 2 })
    const rerun = give(replay, {}, newer)
    await call
    openGate()
    assert.equal((await rerun)[0]?.rows, 20)
    assert.deepEqual(
      old.tasks.map(task => rowsOf(notes(), task)),
      [[]],
    )
  })

  test('work of an older epoch is refused once a newer one was seen', async ({ stream, give, start, another, notes }) => {
    const newer = await start(await another())
    await give(group(stream, { epoch: 2 }), {}, newer)
    const old = group(stream, { partition: 1, epoch: 1, index: 1 })
    const error = await refused(give(old), 'FENCED')
    assert.equal(error.retryable, false)
    assert.deepEqual(
      old.tasks.map(task => rowsOf(notes(), task)),
      [[]],
    )
    await give(group(stream, { partition: 2, epoch: 2, index: 2 }), {}, newer)
  })
}
