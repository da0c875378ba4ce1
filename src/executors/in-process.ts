import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { Executor, ExecutorContext, ExecutorRun } from '../core/executor.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import { runTasks } from '../core/task-runner.ts'
import { Slots } from '../util/slots.ts'

export type InProcessOptions = {
  /** How many ranges are worked on at a time. Each may hold a connection and two fetches. @default 4 */
  readonly concurrency?: number
}

/** Runs tasks in this process and thread: closures just work, and nothing is copied. The default executor. */
export function inProcess(options: InProcessOptions = {}, world: { readonly clock: Clock } = { clock: systemClock }): Executor {
  const { concurrency = 4 } = options
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new ConfigError(`inProcess: concurrency is ${String(concurrency)}; it must be a whole number from 1.`)
  }
  const slots = new Slots(concurrency)
  return {
    name: 'in-process',
    async start(job, context) {
      await openSinks(job, context)
      return inProcessRun(job, context, slots, world.clock)
    },
  }
}

async function openSinks(job: RunnableJob, { streamId, log, signal }: ExecutorContext): Promise<void> {
  for (const { name, sink } of job.outputs.values()) await sink.open?.({ stream: job.stream, streamId, output: name, signal, log })
}

function inProcessRun(job: RunnableJob, { log }: ExecutorContext, slots: Slots, clock: Clock): ExecutorRun {
  return {
    run: (group, { signal }) => slots.use(() => runTasks(job, group, { clock, log, signal })),
    async close() {},
  }
}
