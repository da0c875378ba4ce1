import assert from 'node:assert/strict'
import { again, type DefineTest, failure, giveUntilDone, group, isSame, span, until, workerReading } from './contract.ts'
import type { Note, WorkerId } from './notes.ts'

/** A worker that stands still and wakes up later does not know that the world went on without it. */
export function definePausedWorkerTests(test: DefineTest): void {
  test('a group whose worker stands still is run by another, and what the first brings later does not count', async world => {
    const { stream, faults, openGate, notes } = world
    const held = group(stream, { topic: 'held', until: 20, outputs: ['ledger', 'gathered'] })
    const call = giveUntilDone(world, held)
    const worker = await workerReading(world, held)
    const { resume } = await faults.pause(worker)
    openGate()
    const [entry, gathered] = await call
    assert.equal(entry?.task.output, 'ledger')
    for (const row of gathered?.gathered ?? []) assert.ok(!isSame(row as WorkerId, worker))
    await resume()
    await until('the end of the first attempt', () => notes().some(note => isSame(note, worker) && hasEnded(note)))
    assert.deepEqual(
      world.ledger().map(({ rows, ...by }) => [rows, isSame(by, worker)]),
      [[span(0, 20), false]],
    )
  })

  test('the result of a superseded attempt does not count for the one after it', async world => {
    const { stream, faults, give, openGate, notes } = world
    const first = group(stream, { topic: 'held', until: 20, outputs: ['gathered'] })
    const givenUp = new AbortController()
    const call = failure(give(first, { signal: givenUp.signal }))
    const worker = await workerReading(world, first)
    const { resume } = await faults.pause(worker)
    givenUp.abort(new Error('given up'))
    await call

    const second = again(first)
    const rerun = giveUntilDone(world, second)
    let isOver = false
    rerun.then(
      () => (isOver = true),
      () => (isOver = true),
    )
    await workerReading(world, second, [worker])
    // The first wakes up with its gate open, and may finish before it hears that nobody wants it any more.
    openGate(worker)
    await resume()
    await until('the end of the first attempt', () => notes().some(note => isSame(note, worker) && hasEnded(note)))
    // What the first had to say would come before the answer to this.
    await give(group(stream, { index: 1 }))
    assert.equal(isOver, false)

    openGate()
    const [result] = await rerun
    assert.equal(result?.gathered?.length, 20)
    for (const row of result.gathered) assert.ok(!isSame(row as WorkerId, worker))
  })
}

function hasEnded({ what }: Note): boolean {
  return what === 'wrote' || what === 'failed'
}
