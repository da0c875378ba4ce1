import assert from 'node:assert/strict'
import { again, type DefineTest, group, span } from './contract.ts'

/** The same work given out twice: ranges are deterministic, so any executor may run any task at any time, twice if need be. */
export function defineDuplicateTests(test: DefineTest): void {
  test('a group that runs twice at the same time has its rows once in an output with a ledger', async ({
    stream,
    give,
    ledger,
    notes,
    openGate,
  }) => {
    const one = group(stream, { topic: 'held', until: 20, outputs: ['ledger'] })
    const calls = [give(one), give(again(one))]
    openGate()
    for (const results of await Promise.all(calls)) assert.equal(results[0]?.task.output, 'ledger')
    assert.deepEqual(
      ledger().map(({ rows }) => rows),
      [span(0, 20)],
    )
    const [third] = await give(again(one))
    assert.equal(third?.alreadyApplied, true)
    assert.ok(notes().filter(({ what }) => what === 'read').length <= 2)
  })

  test('a group whose answer nobody heard is run again with the same rows', async ({ stream, give, notes }) => {
    const one = group(stream, { until: 50, outputs: ['rows', 'odd'] })
    const [first, second] = [await give(one), await give(again(one))]
    assert.deepEqual(
      first.map(({ records, rows, bytes }) => [records, rows, bytes]),
      second.map(({ records, rows, bytes }) => [records, rows, bytes]),
    )
    const written = (output: string) =>
      Map.groupBy(
        notes().flatMap(entry => (entry.what === 'rows' && entry.task.output === output ? [entry] : [])),
        ({ task }) => task.attempt,
      )
    for (const output of ['rows', 'odd']) {
      const [a, b] = [...written(output).values()].map(entries => entries.flatMap(({ rows }) => rows))
      assert.ok(a !== undefined && a.length > 0)
      assert.deepEqual(a, b)
    }
  })
}
