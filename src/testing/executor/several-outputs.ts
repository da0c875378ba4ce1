import assert from 'node:assert/strict'
import { isTidemarkError } from '../../core/errors.ts'
import { again, type DefineTest, failure, group, refused, rowsOf, span } from './contract.ts'

/** How long an output that never ends is waited for. */
const SHORT_MS = 200

/** Tasks of one range, into several outputs: each comes to its own end. */
export function defineSeveralOutputTests(test: DefineTest): void {
  test('an output that fails does not stop the others, and its result says that it is not in', async ({ stream, give, notes, ledger }) => {
    const one = group(stream, { topic: 'one-fails', until: 40, outputs: ['rows', 'odd', 'ledger'] })
    const results = await give(one)
    assert.deepEqual(
      results.map(result => [result.task.output, 'error' in result, result.alreadyApplied]),
      [
        ['rows', false, false],
        ['odd', true, false],
        ['ledger', false, false],
      ],
    )
    const error = results[1]?.error
    assert.ok(isTidemarkError(error, 'CONNECTION'), String(error))
    assert.deepEqual([error.message, error.retryable, error.details], ['odd is away', true, { output: 'odd' }])
    const [rows] = one.tasks
    assert.ok(rows)
    assert.deepEqual(rowsOf(notes(), rows), span(0, 40))
    assert.deepEqual(
      ledger().flatMap(entry => entry.rows),
      span(0, 40),
    )
    assert.deepEqual([results[0]?.records, results[0]?.rows], [40, 40])
  })

  test('one that failed beside others can be run alone, with a read of its own', async ({ stream, give, notes }) => {
    const one = group(stream, { topic: 'one-fails', until: 40, outputs: ['ledger', 'odd'] })
    await give(one)
    const alone = again({ ...one, tasks: one.tasks.filter(({ output }) => output === 'odd') })
    await refused(give(alone), 'CONNECTION')
    assert.equal(notes().filter(({ what }) => what === 'read').length, 2)
    assert.equal(notes().filter(entry => entry.what === 'wrote').length, 1)
  })

  test('outputs that all fail on the same record are one failure', async ({ stream, give }) => {
    const error = await refused(give(group(stream, { topic: 'fails-in-map', outputs: ['rows', 'odd'] })), 'RECORD')
    assert.equal(error.details.offset, 3)
  })

  test('one that is fenced stops the others: another driver writes now', async ({ stream, give, notes }) => {
    await refused(give(group(stream, { topic: 'one-fenced', until: 40, outputs: ['rows', 'odd', 'ledger'] })), 'FENCED')
    assert.deepEqual(
      notes().filter(({ what }) => what === 'wrote'),
      [],
    )
  })

  test('one that is over its time does not take what is in along', async ({ stream, give, ledger }) => {
    const one = group(stream, { topic: 'one-deaf', outputs: ['ledger', 'odd'], timeoutMs: SHORT_MS, maxOutputWaitMs: 20 })
    const results = await give(one)
    assert.equal('error' in (results[0] ?? {}), false)
    assert.ok(isTidemarkError(results[1]?.error, 'TIMEOUT'), String(results[1]?.error))
    assert.deepEqual(
      ledger().flatMap(entry => entry.rows),
      span(0, 10),
    )
  })

  test('records that a function fails on go to the dead letters, beside the rows and in an attempt of their own', async ({
    stream,
    give,
    notes,
  }) => {
    const policy = { topic: 'fails-in-map', onRecordError: 'deadLetter', watched: ['rows', 'odd'] } as const
    const both = group(stream, { ...policy, outputs: ['rows', 'odd', 'letters'] })
    const alone = again(group(stream, { ...policy, outputs: ['letters'] }))
    const expected = {
      topic: 'fails-in-map',
      record_offset: 3,
      batch: 1,
      stage: 'map (toOffset)',
      outputs: '["rows","odd"]',
      error_name: 'TypeError',
    }
    for (const one of [both, alone]) {
      const results = await give(one)
      assert.deepEqual([results.at(-1)?.rows, results.at(-1)?.records], [1, 10])
      const task = one.tasks.at(-1)
      assert.ok(task)
      const [letter, ...more] = rowsOf(notes(), task) as Record<string, unknown>[]
      assert.deepEqual(more, [])
      for (const [name, value] of Object.entries(expected)) assert.equal(letter?.[name], value)
    }
    const [rows] = both.tasks
    assert.ok(rows)
    assert.equal(rowsOf(notes(), rows).length, 9)
  })

  test('an abort ends all of them, also where one had failed before', async ({ stream, give }) => {
    const abort = new AbortController()
    const call = failure(give(group(stream, { topic: 'until-aborted', outputs: ['rows', 'odd'] }), { signal: abort.signal }))
    abort.abort(new Error('enough'))
    assert.equal(String(await call), 'Error: enough')
  })
}
