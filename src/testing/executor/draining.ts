import assert from 'node:assert/strict'
import { type DefineTest, group, isSame, span, workerReading } from './contract.ts'

/** A worker that is told to end in good order, as a rolling deploy does. */
export function defineDrainTests(test: DefineTest): void {
  test('a worker that is drained ends what it runs and takes no more, and others take what comes', async world => {
    const { stream, give, faults, openGate, notes } = world
    const held = group(stream, { topic: 'held', until: 20, outputs: ['gathered'] })
    const call = give(held)
    const worker = await workerReading(world, held)
    const { ended } = await faults.drain(worker)
    await Promise.all(span(1, 31).map(index => give(group(stream, { partition: index % 10, index }))))
    const after = notes().filter(entry => entry.what === 'wrote' && entry.task.index > 0)
    assert.equal(after.length, 30)
    assert.ok(!after.some(entry => isSame(entry, worker)), 'the worker took groups that were given after it was told to end')

    openGate()
    const [result] = await call
    assert.equal(result?.gathered?.length, 20)
    for (const row of result.gathered) assert.deepEqual({ ...(row as object), offset: 0 }, { ...worker, offset: 0 })
    await ended
  })

  test('a worker that is drained closes what it opened', async world => {
    const { stream, give, faults, openGate, notes } = world
    const held = group(stream, { topic: 'held' })
    const call = give(held)
    const worker = await workerReading(world, held)
    const { ended } = await faults.drain(worker)
    openGate()
    await call
    await ended
    const own = notes().filter(entry => isSame(entry, worker))
    const opened = own.flatMap(entry => (entry.what === 'open' ? [entry.output] : []))
    assert.deepEqual(own.flatMap(entry => (entry.what === 'close' ? [entry.output] : [])).sort(), [...opened, 'source'].sort())
  })
}
