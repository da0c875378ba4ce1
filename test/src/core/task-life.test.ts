import { describe, expect, test } from 'vitest'
import { FencedError, RecordError, TimeoutError } from '../../../src/core/errors.ts'
import { TaskLife } from '../../../src/core/task-life.ts'
import { ManualClock } from '../../../src/testing/index.ts'

function live(signal = new AbortController().signal) {
  const clock = new ManualClock()
  const life = new TaskLife({ clock, signal, timeoutMs: 1_000, graceMs: 100, tooLate: () => new TimeoutError('too late') })
  return { clock, life }
}

const untilAborted = (signal: AbortSignal, error?: Error) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(error ?? signal.reason), { once: true }))

describe('a task whose time is over', () => {
  test('ends with TIMEOUT, whatever the abort made of it', async () => {
    const { clock, life } = live()
    const ended = expect(life.within(untilAborted(life.signal, new Error('socket closed')))).rejects.toMatchObject({ code: 'TIMEOUT' })
    await clock.advance(1_000)
    await ended
  })

  test('ends without its code after the grace, if that listens to nothing', async () => {
    const { clock, life } = live()
    const ended = expect(life.within(new Promise(() => {}))).rejects.toMatchObject({ code: 'TIMEOUT' })
    await clock.advance(1_100)
    await ended
  })

  test('keeps the error it had failed with before, which trying again would not mend', async () => {
    const { clock, life } = live()
    const bad = new RecordError('no JSON')
    const work = (async () => {
      life.fail(bad)
      // What is done about it takes until the deadline.
      await untilAborted(life.restSignal).catch(() => {})
      throw bad
    })()
    const ended = expect(life.within(work)).rejects.toBe(bad)
    await clock.advance(1_000)
    await ended
  })

  test('keeps a refusal that its output gives while it ends', async () => {
    const { clock, life } = live()
    const fenced = new FencedError('another driver has its work')
    const ended = expect(life.within(untilAborted(life.signal, fenced))).rejects.toBe(fenced)
    await clock.advance(1_000)
    await ended
  })
})

test('a task that was told to stop ends with why, and one that ended leaves no timer and no listener', async () => {
  const abort = new AbortController()
  const { clock, life } = live(abort.signal)
  const ended = expect(life.within(untilAborted(life.signal))).rejects.toThrow('enough')
  abort.abort(new Error('enough'))
  await ended
  expect(clock.sleeping).toBe(0)
})

test('the signal of a task that drew all its rows stays quiet, and that of one that left some tells its reader', async () => {
  for (const isDrained of [true, false]) {
    const { life } = live()
    if (isDrained) life.end()
    await life.within(Promise.resolve())
    expect(life.signal.aborted).toBe(!isDrained)
  }
})
