import assert from 'node:assert/strict'
import { type DefineTest, giveUntilDone, group, isSame, span, workerReading } from './contract.ts'

/** A worker killed with -9 says nothing to anybody. */
export function defineKilledWorkerTests(test: DefineTest): void {
  test('a worker that is killed in the middle of a task costs only its tasks, which another runs', async world => {
    const { stream, faults, openGate, ledger } = world
    const held = group(stream, { topic: 'held', until: 20, outputs: ['ledger'] })
    const call = giveUntilDone(world, held)
    const worker = await workerReading(world, held)
    await faults.kill(worker)
    openGate()
    const others = span(1, 11).map(index => giveUntilDone(world, group(stream, { partition: index - 1, outputs: ['ledger'], index })))
    assert.equal((await call)[0]?.task.output, 'ledger')
    await Promise.all(others)
    const entries = ledger()
    assert.equal(entries.length, 11)
    const entry = entries.find(({ task }) => task.index === 0)
    assert.deepEqual(entry?.rows, span(0, 20))
    assert.ok(entries.every(other => !isSame(other, worker)))
  })
}
