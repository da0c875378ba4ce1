import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { ExecutorRun } from '../../../src/core/executor.ts'
import { threads } from '../../../src/executors/threads.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { makeJob } from './jobs/exports-nothing.ts'
import { contextWith, door, groupOf, never, threadsWorld } from './threads-world.ts'

const world = threadsWorld()
const { start } = world

const all = (run: ExecutorRun, partitions: readonly number[], signal = never) =>
  Promise.all(partitions.map(partition => run.run(groupOf(partition), { signal })))

const PARTITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]

describe('a run in threads', () => {
  test('gives results in the order of the groups, with what each thread counted', async () => {
    const run = await start()
    const results = await all(run, PARTITIONS)
    expect(results.map(([result]) => [result?.task.index, result?.records, result?.rows])).toEqual(PARTITIONS.map(at => [at, 5, 5]))
    expect(
      world.folder
        .said()
        .filter(line => line.startsWith('wrote'))
        .sort(),
    ).toEqual(PARTITIONS.map(at => `wrote ${at}: 5`).sort())
  })

  test('imports the job and opens its sinks once a thread, works in all of them, and closes sources and sinks once', async () => {
    world.folder.setScript({ acts: { 0: { do: 'waitForFile', name: 'go' }, 1: { do: 'waitForFile', name: 'go' } } })
    const run = await start(threads({ size: 2, concurrency: 1 }))
    const work = all(run, PARTITIONS)
    await waitUntil(
      'two tasks in two threads',
      async () => world.folder.count('begin 0').times === 1 && world.folder.count('begin 1').times === 1,
    )
    writeFileSync(join(world.folder.path, 'go'), '')
    await work
    await all(run, PARTITIONS)
    await run.close()
    await run.close()
    const once = ['open', 'close source', 'close sink']
    expect(once.map(what => world.folder.count(what))).toEqual(once.map(() => ({ threads: 2, times: 2 })))
    expect(world.folder.said().filter(line => line === 'import')).toHaveLength(2)
  })

  test('works on no more groups at a time than its threads have slots, over all runs of the executor', async () => {
    world.folder.setScript({ acts: Object.fromEntries(PARTITIONS.map(at => [at, { do: 'waitForFile', name: `go-${at}` }])) })
    const executor = threads({ size: 2, concurrency: 2 })
    const [first, second] = [await start(executor), await start(executor)]
    const work = [all(first, PARTITIONS.slice(0, 6)), all(second, PARTITIONS.slice(6))]
    const begun = () => PARTITIONS.filter(at => world.folder.count(`begin ${at}`).times > 0)
    const written = () => PARTITIONS.filter(at => world.folder.count(`wrote ${at}: 5`).times > 0)
    const atWork: number[] = []
    while (written().length < PARTITIONS.length) {
      const isFirst = atWork.length === 0
      await waitUntil('tasks to be at work', async () => begun().length - written().length >= (isFirst ? 4 : 1))
      atWork.push(begun().length - written().length)
      const [next] = begun().filter(at => !written().includes(at))
      writeFileSync(join(world.folder.path, `go-${next}`), '')
      await waitUntil('it to be written', async () => written().includes(next ?? -1))
    }
    await Promise.all(work)
    expect(Math.max(...atWork)).toBe(4)
  })

  test('keeps two runs of one executor apart: one is closed and the other goes on', async () => {
    const executor = threads({ size: 1 })
    const [first, second] = [await start(executor), await start(executor)]
    await all(first, [0])
    await first.close()
    await all(second, [1])
    expect(world.folder.said()).toContain('wrote 1: 5')
    await expect(first.run(groupOf(2), { signal: never })).rejects.toThrow(/executor is closed/)
  })

  test('tells the log of the driver what tasks and sinks say, once of what all threads say while they open', async () => {
    world.folder.setScript({ acts: { 3: { do: 'log' } } })
    const said: unknown[][] = []
    const log = {
      debug: (...call: unknown[]) => said.push(['debug', ...call]),
      info: (...call: unknown[]) => said.push(['info', ...call]),
      warn: (...call: unknown[]) => said.push(['warn', ...call]),
      error: (...call: unknown[]) => said.push(['error', ...call]),
    }
    const run = await start(threads({ size: 3 }), contextWith({ log }))
    await all(run, [3])
    expect(said).toEqual([
      ['warn', { server: 'old' }, 'the server is old'],
      ['error', { fields: expect.stringMatching(/when: \[Function/) }, 'a function cannot be sent'],
      ['info', { err: expect.objectContaining({ name: 'PaymentError', orderId: 17 }), at: new Date(5) }, 'said by a task'],
      ['debug', { err: expect.objectContaining({ name: 'PaymentError', message: 'bare' }) }, undefined],
    ])
  })

  test('tells the progress of a task that goes on', async () => {
    world.folder.setScript({ acts: { 0: { do: 'writeAndWaitForFile', name: 'go' } } })
    const run = await start()
    const moved = Promise.withResolvers<void>()
    const work = run.run(groupOf(0), { signal: never, onProgress: moved.resolve })
    await moved.promise
    writeFileSync(join(world.folder.path, 'go'), '')
    await work
  })
})

describe('errors of a task', () => {
  test.each([
    ['payment', { name: 'PaymentError', message: 'no money', orderId: 17 }],
    ['fenced', { name: 'FencedError', code: 'FENCED', retryable: false, details: { epoch: 8 } }],
    ['dataLoss', { name: 'DataLossError', code: 'DATA_LOSS', lossCause: 'retention', resumeAt: 2 }],
    ['connection', { name: 'ConnectionError', code: 'CONNECTION', retryable: true }],
  ] as const)('keep class, code and fields: %s', async (what, expected) => {
    world.folder.setScript({ acts: { 0: { do: 'throw', what } } })
    const run = await start()
    await expect(run.run(groupOf(0), { signal: never })).rejects.toMatchObject(expected)
  })

  test('name the record that a function of the job failed on', async () => {
    world.folder.setScript({ acts: { 2: { do: 'failRecord', offset: 3 } } })
    const run = await start()
    await expect(run.run(groupOf(2), { signal: never })).rejects.toMatchObject({
      name: 'RecordError',
      code: 'RECORD',
      details: { topic: 't', partition: 2, offset: 3 },
      cause: { name: 'PaymentError', orderId: 17 },
    })
  })
})

describe('an abort', () => {
  test('ends a task that listens, with the very reason, and the others go on', async () => {
    world.folder.setScript({ acts: { 0: { do: 'hang' } } })
    const run = await start(threads({ size: 1, concurrency: 1 }))
    const abort = new AbortController()
    const reason = new RangeError('enough')
    const work = run.run(groupOf(0), { signal: abort.signal })
    const other = run.run(groupOf(1), { signal: never })
    await waitUntil('the task to begin', async () => world.folder.count('begin 0').times === 1)
    abort.abort(reason)
    await expect(work).rejects.toBe(reason)
    await other
  })

  test('of groups that wait, in their thread or for one, ends them at once', async () => {
    world.folder.setScript({ acts: { 0: { do: 'waitForFile', name: 'go' } } })
    const run = await start(threads({ size: 1, concurrency: 1 }))
    const first = run.run(groupOf(0), { signal: never })
    await waitUntil('the task to begin', async () => world.folder.count('begin 0').times === 1)
    const abort = new AbortController()
    const reason = new Error('enough')
    const waiting = PARTITIONS.slice(1).map(at => run.run(groupOf(at), { signal: abort.signal }))
    const ended = Promise.allSettled(waiting)
    abort.abort(reason)
    expect(await ended).toEqual(waiting.map(() => ({ status: 'rejected', reason })))
    writeFileSync(join(world.folder.path, 'go'), '')
    await first
    expect(world.folder.said().filter(line => line.startsWith('begin'))).toEqual(['begin 0'])
    await expect(run.run(groupOf(1), { signal: abort.signal })).rejects.toBe(reason)
  })
})

describe('a start', () => {
  test('is refused for a job that nobody can find', async () => {
    await expect(threads().start({ ...world.job, origin: undefined } as never, contextWith())).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/nobody can tell which one that is/),
    })
  })

  test('fails with what a sink says, of its class, and leaves nothing open', async () => {
    world.folder.setScript({ open: 'connection' })
    await expect(threads({ size: 2 }).start(world.job, contextWith())).rejects.toMatchObject({
      name: 'ConnectionError',
      message: 'The journal is away.',
      details: { port: 1 },
    })
    expect(world.folder.count('close sink')).toEqual({ threads: 2, times: 2 })
  })

  test('fails where a thread ends while it opens', async () => {
    world.folder.setScript({ open: 'exit' })
    await expect(threads({ size: 1 }).start(world.job, contextWith())).rejects.toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringMatching(/opening the job ended with exit code 5/),
    })
  })

  test('ends when the driver does not want it any more', async () => {
    const abort = new AbortController()
    const starting = threads({ size: 1 }).start(world.job, contextWith({ signal: abort.signal }))
    abort.abort(new Error('stopped'))
    await expect(starting).rejects.toThrow('stopped')
  })

  test('is refused for a job that its module does not export', async () => {
    await expect(threads({ size: 1 }).start(door(makeJob()).runnable(), contextWith())).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/exports no job named kept-inside/),
    })
  })

  test('is refused for a job that starts itself whenever it is imported', async () => {
    const itself = door((await import('./jobs/starts-itself.ts')).default).runnable()
    await expect(threads({ size: 1 }).start(itself, contextWith())).rejects.toMatchObject({
      code: 'JOB',
      message: expect.stringMatching(/is started by its own module/),
    })
  })

  test('is refused for a job whose files were changed, also of a thread that takes the place of another', async () => {
    const path = join(import.meta.dirname, 'jobs', `changes-${process.pid}.ts`)
    cpSync(join(import.meta.dirname, 'jobs', 'scripted.ts'), path)
    try {
      world.folder.setScript({ acts: { 0: { do: 'exit' } } })
      const { origin, ...rest } = world.job
      if (origin === undefined) throw new TypeError('The job has no origin.')
      const run = await start(threads({ size: 1 }), contextWith(), { ...rest, origin: { ...origin, module: pathToFileURL(path).href } })
      writeFileSync(path, `${readFileSync(path, 'utf8')}\n// changed\n`)
      await expect(run.run(groupOf(0), { signal: never })).rejects.toMatchObject({ retryable: true })
      await expect(run.run(groupOf(1), { signal: never })).rejects.toMatchObject({
        code: 'JOB',
        message: expect.stringMatching(/differs in the job's own source files/),
      })
    } finally {
      rmSync(path)
    }
  })
})

test('wrong options are refused, all at once', () => {
  expect(() => threads({ size: 0, maxHeapMiB: 1.5 })).toThrow(/size is 0.*\n.*maxHeapMiB is 1.5/s)
  expect(() => threads(4 as never)).toThrow(/threads: the argument is 4: expected options such as { size: 4 }/)
})
