import assert from 'node:assert/strict'
import { errorMessage } from '../../core/errors.ts'
import { type DefineTest, failure, group, refused, rowsOf, span, until } from './contract.ts'

/** How long the code of a job that listens to nothing is waited for is the task runner's matter; that it ends is the executor's too. */
const SHORT_MS = 200

/** Groups that are told to stop, and groups that take too long. */
export function defineAbortTests(test: DefineTest): void {
  test('an abort ends the group with its reason, and nothing is written after it has ended', async ({ stream, give, notes, openGate }) => {
    const abort = new AbortController()
    const one = group(stream, { topic: 'trickle', until: 1_000, outputs: ['rows', 'ledger'] })
    const call = failure(give(one, { signal: abort.signal }))
    const rows = () => one.tasks.flatMap(task => rowsOf(notes(), task))
    await until('the first row', () => rows().length > 0)
    abort.abort(new RangeError('enough of this'))
    assert.equal(errorMessage(await call), 'enough of this')
    const written = rows().length
    // Each of its tasks has ended by now, and said so: what is still at work could be asked to write by what comes next.
    assert.deepEqual(
      notes()
        .flatMap(entry => (entry.what === 'wrote' || entry.what === 'failed' ? [[entry.what, entry.task.output]] : []))
        .sort(),
      [
        ['failed', 'ledger'],
        ['failed', 'rows'],
      ],
    )
    openGate()
    await give(group(stream, { topic: 'trickle', until: 1_000, index: 1 }))
    assert.equal(rows().length, written)
  })

  test('an abort ends groups that wait for their turn too, and their slots are free again', async ({ stream, give, notes }) => {
    const abort = new AbortController()
    const groups = span(0, 30).map(index => group(stream, { topic: 'until-aborted', from: index, until: index + 1, index }))
    const calls = groups.map(one => failure(give(one, { signal: abort.signal })))
    await until('the first row', () => notes().some(({ what }) => what === 'rows'))
    abort.abort(new Error('enough'))
    for (const call of calls) assert.equal(errorMessage(await call), 'enough')
    await Promise.all(span(30, 40).map(index => give(group(stream, { partition: index - 30, index }))))
  })

  test('an abort of one group leaves the others alone', async ({ stream, give, openGate, notes }) => {
    const abort = new AbortController()
    const aborted = failure(give(group(stream, { topic: 'until-aborted', index: 0 }), { signal: abort.signal }))
    const other = give(group(stream, { topic: 'held', index: 1 }))
    await until('both reads', () => notes().filter(({ what }) => what === 'read').length === 2)
    abort.abort(new Error('enough'))
    assert.equal(errorMessage(await aborted), 'enough')
    openGate()
    assert.equal((await other)[0]?.rows, 10)
  })

  test('a group whose signal has aborted is not run', async ({ stream, give, notes }) => {
    const call = failure(give(group(stream), { signal: AbortSignal.abort(new Error('too late')) }))
    assert.equal(errorMessage(await call), 'too late')
    await give(group(stream, { partition: 1, index: 1 }))
    assert.deepEqual(
      notes().flatMap(entry => (entry.what === 'read' ? [entry.range.partition] : [])),
      [1],
    )
  })

  test('a task over its time ends with TIMEOUT, which may be tried again', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'until-aborted', timeoutMs: SHORT_MS })), 'TIMEOUT')
    assert.equal(error.retryable, true)
    assert.match(error.message, /until-aborted\/0 \[0, 10\) of batch 1/)
  })

  test('code that listens to no signal holds neither its group nor those after it for ever', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'deaf', timeoutMs: SHORT_MS })), 'TIMEOUT')
    assert.equal(error.retryable, true)
    await Promise.all(span(1, 11).map(index => give(group(stream, { partition: index - 1, index }))))
  })
}
