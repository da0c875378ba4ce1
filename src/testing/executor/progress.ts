import assert from 'node:assert/strict'
import { type DefineTest, group, handled, until } from './contract.ts'

/** The sign of life of a task: without it, one that is slow and one that is stuck look alike. */
export function defineProgressTests(test: DefineTest): void {
  for (const [title, topic] of [
    ['onProgress is called while bytes come, before there is any row', 'held'],
    ['onProgress is called while rows go, whether or not bytes are told of', 'trickle'],
  ] as const) {
    test(title, async ({ stream, give, openGate }) => {
      let calls = 0
      let isOver = false
      const call = give(group(stream, { topic, until: topic === 'held' ? 20 : 500 }), { onProgress: () => void calls++ })
      const ended = handled(
        call.finally(() => {
          isOver = true
        }),
      )
      await until('a second call of onProgress', () => calls > 1 || isOver)
      assert.ok(calls > 1 && !isOver, `onProgress was called ${calls} times before the task was over`)
      openGate()
      await ended
    })
  }
}
