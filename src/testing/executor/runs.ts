import assert from 'node:assert/strict'
import { type DefineTest, group, span } from './contract.ts'

/** Several runs of one executor: a stream and a replay of it, or two streams of one process. */
export function defineRunTests(test: DefineTest): void {
  test('two runs of one executor keep their streams and outputs apart', async ({ executor, stream, give, run, start, notes }) => {
    const other = `${stream}~replay-1`
    const replay = await start(executor, { stream: other, outputs: ['odd'] })
    await Promise.all(
      span(0, 20).flatMap(index => [
        give(group(stream, { partition: index % 10, index }), {}, run),
        give(group(other, { partition: index % 10, index, outputs: ['odd'] }), {}, replay),
      ]),
    )
    for (const [name, output] of [
      [stream, 'rows'],
      [other, 'odd'],
    ] as const) {
      const written = notes(name).flatMap(entry => (entry.what === 'wrote' ? [entry.task] : []))
      assert.equal(written.length, 20)
      for (const task of written) assert.deepEqual([task.stream, task.output], [name, output])
    }
    const opened = notes(other).flatMap(entry => (entry.what === 'open' ? [[entry.output, entry.streamId]] : []))
    assert.ok(opened.length > 0)
    for (const entry of opened) assert.deepEqual(entry, ['odd', `id of ${other}`])
  })

  test('a run that is closed leaves another at work', async ({ executor, stream, give, run, start, openGate }) => {
    const other = `${stream}~replay-1`
    const replay = await start(executor, { stream: other })
    await give(group(other), {}, replay)
    const call = give(group(stream, { topic: 'held' }), {}, run)
    await replay.close()
    openGate()
    assert.equal((await call)[0]?.rows, 10)
    await give(group(stream, { partition: 1, index: 1 }), {}, run)
  })
}
