import assert from 'node:assert/strict'
import { again, type DefineTest, group, isSame, rowsOf, span } from './contract.ts'
import { bytesOf } from './contract-source.ts'

/** What comes back from a group of tasks, and what it took. */
export function defineResultTests(test: DefineTest): void {
  test('results come in the order of the tasks, with what was read, what was written and when', async ({ stream, give }) => {
    const one = group(stream, { partition: 1, from: 10, until: 30, outputs: ['odd', 'ledger', 'rows'] })
    const results = await give(one)
    assert.deepEqual(
      results.map(({ task }) => task),
      one.tasks,
    )
    assert.deepEqual(
      results.map(({ rows }) => rows),
      [10, 20, 20],
    )
    for (const { records, bytes, alreadyApplied, startTime, endTime, gathered } of results) {
      assert.deepEqual(
        { records, bytes, alreadyApplied, gathered },
        { records: 20, bytes: bytesOf(one.range), alreadyApplied: false, gathered: undefined },
      )
      assert.ok(Number.isInteger(startTime) && startTime <= endTime, `${startTime} to ${endTime}`)
    }
  })

  test('rows of a task reach its output in the order of their offsets, over several arrays', async ({ stream, give, notes }) => {
    const one = group(stream, { partition: 2, from: 3, until: 97, outputs: ['rows', 'odd'] })
    await give(one)
    const [rows, odd] = one.tasks.map(task => rowsOf(notes(), task))
    assert.deepEqual(rows, span(3, 97))
    assert.deepEqual(
      odd,
      span(3, 97).filter(offset => offset % 2 === 1),
    )
    assert.ok(notes().filter(({ what }) => what === 'rows').length > 2, 'the rows came in one array')
  })

  test('tasks of one range share one read', async ({ stream, give, notes }) => {
    const one = group(stream, { until: 40, outputs: ['rows', 'odd', 'whole', 'ledger'] })
    assert.deepEqual(
      (await give(one)).map(({ records, rows }) => [records, rows]),
      [
        [40, 40],
        [40, 20],
        [40, 1],
        [40, 40],
      ],
    )
    assert.equal(notes().filter(({ what }) => what === 'read').length, 1)
  })

  test('a function over a whole range is told the range, its batch and its epoch', async ({ stream, give, notes }) => {
    const one = group(stream, { partition: 3, until: 5, outputs: ['whole'], index: 4, batchId: 12, epoch: 3 })
    await give(one)
    const [task] = one.tasks
    assert.ok(task)
    const { output: _output, attempt: _attempt, ...range } = task
    assert.deepEqual(rowsOf(notes(), task), [{ records: 5, ...range }])
  })

  test('an output that has the task already is not given its rows again, and says so', async ({ stream, give, notes }) => {
    const first = group(stream, { outputs: ['ledger'] })
    await give(first)
    const second = again({ ...first, tasks: group(stream, { outputs: ['rows', 'ledger'] }).tasks })
    const results = await give(second)
    assert.deepEqual(
      results.map(({ task, alreadyApplied, records, rows, bytes }) => [task.output, alreadyApplied, records, rows, bytes]),
      [
        ['rows', false, 10, 10, bytesOf(first.range)],
        ['ledger', true, 0, 0, 0],
      ],
    )
    assert.deepEqual(
      second.tasks.map(task => rowsOf(notes(), task)),
      [span(0, 10), []],
    )
  })

  test('a range whose outputs all have it already is not read', async ({ stream, give, notes }) => {
    const first = group(stream, { outputs: ['ledger'] })
    await give(first)
    assert.deepEqual(
      (await give(again(first))).map(({ alreadyApplied }) => alreadyApplied),
      [true],
    )
    assert.equal(notes().filter(({ what }) => what === 'read').length, 1)
  })

  test('a range is read under the isolation that its group says, and with its topic id and leader epoch', async ({
    stream,
    give,
    notes,
  }) => {
    for (const [partition, isolation] of (['read_committed', 'read_uncommitted'] as const).entries()) {
      const one = group(stream, { partition, isolation })
      const range = { ...one.range, topicId: 'topic-1', leaderEpoch: 0 }
      await give({ ...one, range, tasks: one.tasks.map(task => ({ ...task, range })) })
      const reads = notes().flatMap(entry => (entry.what === 'read' && entry.range.partition === partition ? [entry] : []))
      assert.deepEqual(
        reads.map(read => [read.range, read.isolation]),
        [[range, isolation]],
      )
    }
  })

  test('records that are left out are counted and told of where that is the policy', async ({ stream, give }) => {
    const [result] = await give(group(stream, { topic: 'fails-in-map', onRecordError: 'skip' }))
    assert.deepEqual([result?.records, result?.rows, result?.skipped?.count], [10, 9, 1])
    const [sample] = result?.skipped?.samples ?? []
    assert.equal(sample?.offset, 3)
    assert.equal(sample.stage, 'map (toOffset)')
    assert.match(sample.message, /no offset for this one/)
  })

  test('records that are gone are told of where that is the policy, with where their log goes on', async ({ stream, give, notes }) => {
    const onDataLoss = { retention: 'skip', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
    const one = group(stream, { topic: 'lost', onDataLoss })
    const [result] = await give(one)
    const [loss] = result?.losses ?? []
    assert.deepEqual([loss?.cause, loss?.missing, loss?.resumeAt], ['retention', [{ ...one.range, untilOffset: 4 }], 4])
    assert.deepEqual(
      one.tasks.map(task => rowsOf(notes(), task)),
      [span(4, 10)],
    )
  })

  test('a thousand groups at once all come back, each with its own result', async ({ stream, give }) => {
    const groups = span(0, 1_000).map(index =>
      group(stream, {
        partition: index % 10,
        from: Math.floor(index / 10),
        until: Math.floor(index / 10) + 1,
        outputs: ['gathered'],
        index,
      }),
    )
    const results = await Promise.all(groups.map(one => give(one)))
    for (const [at, { range, tasks }] of groups.entries()) {
      const [result] = results[at] ?? []
      assert.deepEqual(result?.task, tasks[0])
      assert.deepEqual(
        result?.gathered?.map(row => (row as { readonly offset: number }).offset),
        [range.fromOffset],
      )
    }
  })

  test('an output is told its stream and its name when it is opened: before its first task, once in each worker', async ({
    stream,
    give,
    notes,
  }) => {
    await Promise.all(span(0, 40).map(index => give(group(stream, { partition: index % 10, index, outputs: ['rows', 'odd'] }))))
    const wrote = notes().flatMap((entry, at) => (entry.what === 'rows' ? [{ ...entry, at }] : []))
    assert.ok(wrote.length > 0)
    for (const { at, task, ...worker } of wrote) {
      const opened = notes().flatMap((entry, place) =>
        entry.what === 'open' && entry.output === task.output && isSame(entry, worker) ? [{ ...entry, place }] : [],
      )
      assert.deepEqual(
        opened.map(entry => [entry.stream, entry.streamId]),
        [[stream, `id of ${stream}`]],
      )
      assert.ok(opened.every(({ place }) => place < at))
    }
  })
}
