import assert from 'node:assert/strict'
import { type DefineTest, failure, group, handled, rowsOf, span, until } from './contract.ts'

/** The end of a run, and of an executor. */
export function defineClosingTests(test: DefineTest): void {
  test('closing waits for what runs', async ({ stream, give, run, openGate, notes }) => {
    const order: string[] = []
    const call = handled(
      give(group(stream, { topic: 'held' })).then(results => {
        order.push('results')
        return results
      }),
    )
    await until('the read', () => notes().some(({ what }) => what === 'read'))
    const closing = run.close().then(() => order.push('closed'))
    openGate()
    assert.equal((await call)[0]?.rows, 10)
    await closing
    assert.deepEqual(order, ['results', 'closed'])
  })

  test('a run that is closed takes no more', async ({ stream, give, run, notes }) => {
    await give(group(stream))
    await run.close()
    const late = group(stream, { partition: 1, index: 1 })
    const error = await failure(give(late))
    assert.ok(error instanceof Error)
    assert.deepEqual(
      late.tasks.map(task => rowsOf(notes(), task)),
      [[]],
    )
  })

  test('closing twice is closing once', async ({ stream, give, run }) => {
    await give(group(stream))
    await Promise.all([run.close(), run.close()])
    await run.close()
  })
}

/** Of an executor with outputs and sources of its own. */
export function defineClosedOnceTest(test: DefineTest): void {
  test('outputs and sources are closed once in every worker that opened them', async ({ stream, give, end, notes }) => {
    await Promise.all(span(0, 60).map(index => give(group(stream, { partition: index % 10, index, outputs: ['rows', 'ledger'] }))))
    await end()
    const opened = notes().flatMap(entry => (entry.what === 'open' ? [[entry.pid, entry.threadId, entry.output]] : []))
    const workers = Map.groupBy(opened, ([pid, threadId]) => `${pid}-${threadId}`)
    const sources = [...workers.values()].map(([first]) => [first?.[0], first?.[1], 'source'])
    const closed = notes().flatMap(entry => (entry.what === 'close' ? [[entry.pid, entry.threadId, entry.output]] : []))
    assert.ok(opened.length > 0)
    assert.deepEqual(closed.map(String).sort(), [...opened, ...sources].map(String).sort())
  })
}
