import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import type { ExecutorContext, ExecutorRun, TaskGroup } from '../../../src/core/executor.ts'
import { doorOf, type JobDoor } from '../../../src/core/job-door.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { RunnableJob } from '../../../src/core/runnable-job.ts'
import type { Task } from '../../../src/core/values.ts'
import { threads } from '../../../src/executors/threads.ts'
import type { Script } from './jobs/scripted.ts'

const NO_LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const

export const never = new AbortController().signal

export function contextWith(parts: Partial<ExecutorContext> = {}): ExecutorContext {
  return { streamId: 'id', log: silentLog, signal: never, ...parts }
}

/** The folder in which a scripted job notes what it does, in whichever thread. Threads that are made afterwards find it. */
function makeFolder(script: Script = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-threads-'))
  process.env.TIDEMARK_TEST_FOLDER = folder
  appendFileSync(join(folder, 'journal'), '')
  const setScript = (next: Script) => writeFileSync(join(folder, 'script.json'), JSON.stringify(next))
  setScript(script)
  const journal = () => readFileSync(join(folder, 'journal'), 'utf8').split('\n').slice(0, -1)
  return {
    path: folder,
    setScript,
    /** Lines of worker threads, without the thread. */
    said: () =>
      journal()
        .filter(line => !line.startsWith('main '))
        .map(line => line.slice(line.indexOf(' ') + 1)),
    /** In how many threads a line was noted, and how often. */
    count(what: string) {
      const lines = journal().filter(line => line.endsWith(` ${what}`))
      return { threads: new Set(lines.map(line => line.split(' ')[0])).size, times: lines.length }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** The door of a module's job. */
export function door(job: unknown): JobDoor {
  const found = doorOf(job)
  if (found === undefined) throw new TypeError('There is no job.')
  return found
}

/** A group of the job `scripted`: all records of a partition. */
export function groupOf(
  partition: number,
  parts: Partial<TaskGroup> & { readonly batchId?: number; readonly output?: string } = {},
): TaskGroup {
  const { batchId = 1, output = 'journal', ...rest } = parts
  const range = { topic: 't', partition, fromOffset: 0, untilOffset: 5 }
  const task: Task = {
    ...{ stream: 'scripted', batchId, epoch: 1, index: partition, range, batchTime: 1_000, output },
    attempt: `1-${batchId}-${partition}-${Math.random()}`,
  }
  return { range, isolation: 'read_uncommitted', timeoutMs: 60_000, onDataLoss: NO_LOSS, onRecordError: 'fail', tasks: [task], ...rest }
}

/** What each test of threads begins with: a folder to note in, the job `scripted`, and runs that are closed with the test. */
export function threadsWorld() {
  const world = { folder: {} as ReturnType<typeof makeFolder>, job: {} as RunnableJob, start }
  const runs: ExecutorRun[] = []
  beforeEach(async () => {
    world.folder = makeFolder()
    world.job = door((await import('./jobs/scripted.ts')).job).runnable()
  })
  afterEach(async () => {
    for (const run of runs.splice(0)) await run.close()
    world.folder.remove()
  })
  async function start(executor = threads({ size: 2 }), context = contextWith(), of = world.job): Promise<ExecutorRun> {
    const run = await executor.start(of, context)
    runs.push(run)
    return run
  }
  return world
}
