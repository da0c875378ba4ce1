import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { errorMessage } from '../../../src/core/errors.ts'
import type { Executor, ExecutorRun, RunOptions, TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { executorContract } from '../../../src/testing/index.ts'

/** Runs the test of the contract that has this title over an executor, as a runner would. */
async function runOf(title: string, executor: Executor): Promise<void> {
  const tests = new Map<string, () => Promise<void>>()
  executorContract({
    describe: (_, body) => body(),
    test: (named, body) => tests.set(named, body),
    open: async () => ({ executor, close: async () => {} }),
    hasWorkers: true,
    endsOlderEpochs: true,
    faults: ['kill', 'pause', 'drain'],
  })
  await (tests.get(title) ?? assert.fail(`the contract has no test "${title}"`))()
}

type RunGroup = (run: ExecutorRun, group: TaskGroup, options: RunOptions) => Promise<readonly TaskResult[]>

/** An executor that is sound but for how it runs a group. */
function running(runGroup: RunGroup, close: (run: ExecutorRun) => Promise<void> = run => run.close()): Executor {
  const sound = inProcess({ concurrency: 8 })
  return {
    name: 'broken',
    async start(job, context) {
      const run = await sound.start(job, context)
      return { run: (group, options) => runGroup(run, group, options), close: () => close(run) }
    },
  }
}

const never = new AbortController().signal
let lastResults: readonly TaskResult[] = []

const broken: readonly (readonly [how: string, executor: () => Executor, title: string])[] = [
  [
    'gives results in another order',
    () => running(async (run, group, options) => (await run.run(group, options)).toReversed()),
    'results come in the order of the tasks, with what was read, what was written and when',
  ],
  [
    'reads once for each task',
    () =>
      running(async (run, group, options) => {
        const results: TaskResult[] = []
        for (const task of group.tasks) results.push(...(await run.run({ ...group, tasks: [task] }, options)))
        return results
      }),
    'tasks of one range share one read',
  ],
  [
    'reads under an isolation of its own',
    () => running((run, group, options) => run.run({ ...group, isolation: 'read_committed' }, options)),
    'a range is read under the isolation that its group says, and with its topic id and leader epoch',
  ],
  [
    'answers with the result of another group',
    () =>
      running(async (run, group, options) => {
        const results = await run.run(group, options)
        const others = lastResults.length === results.length ? lastResults : results
        lastResults = results
        return others
      }),
    'a thousand groups at once all come back, each with its own result',
  ],
  [
    'sends rows as JSON',
    () =>
      running(async (run, group, options) =>
        (await run.run(group, options)).map(({ gathered, ...result }) => ({
          ...result,
          ...(gathered && {
            gathered: gathered.map(row => JSON.parse(JSON.stringify(row, (_, value) => (typeof value === 'bigint' ? `${value}n` : value)))),
          }),
        })),
      ),
    'gathered rows come back as they were: records, views, dates, big integers, maps, sets and bytes',
  ],
  [
    'keeps only the messages of errors',
    () =>
      running(async (run, group, options) => {
        try {
          return await run.run(group, options)
        } catch (error) {
          throw new Error(errorMessage(error))
        }
      }),
    'errors of this package keep class, message, fields and cause',
  ],
  [
    'loses the causes of errors',
    () =>
      running(async (run, group, options) => {
        try {
          return await run.run(group, options)
        } catch (error) {
          if (error instanceof Error) Object.defineProperty(error, 'cause', { value: undefined })
          throw error
        }
      }),
    "errors of the language, of a client and of the job's own keep class, message, fields and cause",
  ],
  [
    'aborts all for the error of one',
    () => {
      const abort = new AbortController()
      return running(async (run, group, { signal }) => {
        try {
          return await run.run(group, { signal: AbortSignal.any([signal, abort.signal]) })
        } catch (error) {
          abort.abort(error)
          throw error
        }
      })
    },
    'an error of one group leaves the others alone',
  ],
  [
    'ends at an abort, and leaves the task at work',
    () =>
      running((run, group, { signal }) =>
        Promise.race([
          run.run(group, { signal: never }),
          new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
        ]),
      ),
    'an abort ends the group with its reason, and nothing is written after it has ended',
  ],
  [
    'runs what was aborted before it came',
    () =>
      running(async (run, group, { signal }) => {
        const results = await run.run(group, { signal: never })
        signal.throwIfAborted()
        return results
      }),
    'a group whose signal has aborted is not run',
  ],
  [
    'has no deadline that may be tried again',
    () =>
      running(async (run, group, options) => {
        try {
          return await run.run(group, options)
        } catch (error) {
          throw Object.assign(error as Error, { retryable: false })
        }
      }),
    'a task over its time ends with TIMEOUT, which may be tried again',
  ],
  [
    'tells no progress of rows',
    () =>
      running(async (run, group, { signal, onProgress }) => {
        const results = await run.run(group, { signal })
        onProgress?.()
        return results
      }),
    'onProgress is called while rows go, whether or not bytes are told of',
  ],
  [
    'runs every stream as the first',
    () => {
      const sound = inProcess()
      let first: Promise<ExecutorRun> | undefined
      return {
        name: 'broken',
        start: (job, context) => {
          first ??= sound.start(job, context)
          return first
        },
      }
    },
    'two runs of one executor keep their streams and outputs apart',
  ],
  ['takes groups when it is closed', () => closedAtOnce(), 'a run that is closed takes no more'],
  ['is closed at once', () => closedAtOnce(), 'closing waits for what runs'],
  ['closes nothing', () => inProcess(), 'outputs and sources are closed once in every worker that opened them'],
  [
    'runs a job that no worker could import',
    () => inProcess(),
    'a job that was put together by hand, which no worker could import, is refused at the start',
  ],
  [
    'copies functions',
    () => inProcess(),
    'gathered rows that hold functions end the group with the output by its name, and the worker goes on',
  ],
  ['knows no epochs', () => inProcess(), 'work of an older epoch is refused once a newer one was seen'],
  [
    'cannot kill, though it says so',
    () => inProcess(),
    'a worker that is killed in the middle of a task costs only its tasks, which another runs',
  ],
  [
    'cannot pause, though it says so',
    () => inProcess(),
    'a group whose worker stands still is run by another, and what the first brings later does not count',
  ],
  [
    'cannot drain, though it says so',
    () => inProcess(),
    'a worker that is drained ends what it runs and takes no more, and others take what comes',
  ],
]

/** A run that is not told of its end. */
function closedAtOnce(): Executor {
  const sound = inProcess()
  return {
    ...sound,
    async start(job, context) {
      const run = await sound.start(job, context)
      return { run: (group, options) => run.run(group, options), async close() {} }
    },
  }
}

test.for(broken)('an executor that %s fails the contract', async ([, executor, title]) => {
  await expect(runOf(title, executor())).rejects.toThrow()
})

test('an executor that is sound passes where those failed', async () => {
  for (const title of new Set(broken.slice(0, 13).map(([, , title]) => title)))
    await runOf(
      title,
      running((run, group, options) => run.run(group, options)),
    )
})
