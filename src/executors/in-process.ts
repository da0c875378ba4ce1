import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { Executor, ExecutorContext, TaskGroup, TaskResult } from '../core/executor.ts'
import type { Log } from '../core/log.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import { runTasks } from '../core/task-runner.ts'

export type InProcessOptions = {
  /** How many ranges are worked on at a time. Each may hold a connection and two fetches. @default 4 */
  readonly concurrency?: number
}

/** Runs tasks in this process and thread: closures just work, and nothing is copied. The default executor. */
export function inProcess(options: InProcessOptions = {}, world: { readonly clock: Clock } = { clock: systemClock }): Executor {
  const concurrency = options.concurrency ?? 4
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    throw new ConfigError(`inProcess: concurrency is ${String(options.concurrency)}; it must be a whole number from 1.`)
  }
  return new InProcessExecutor(concurrency, world.clock)
}

class InProcessExecutor implements Executor {
  readonly name = 'in-process'
  readonly #concurrency: number
  readonly #clock: Clock
  #started: { readonly job: RunnableJob; readonly log: Log } | undefined
  #free: number
  readonly #queue: (() => void)[] = []

  constructor(concurrency: number, clock: Clock) {
    this.#concurrency = concurrency
    this.#free = concurrency
    this.#clock = clock
  }

  async start(job: RunnableJob, { streamId, log, signal }: ExecutorContext): Promise<void> {
    this.#started = { job, log }
    for (const { name, sink } of job.outputs.values()) await sink.open?.({ stream: job.stream, streamId, output: name, signal, log })
  }

  async run(group: TaskGroup, { signal }: { readonly signal: AbortSignal }): Promise<readonly TaskResult[]> {
    const started = this.#started
    if (started === undefined)
      throw new ConfigError(`Executor ${this.name} (${this.#concurrency} at a time) was asked to run before it was started.`)
    if (this.#free > 0) this.#free--
    else await new Promise<void>(resolve => this.#queue.push(resolve))
    try {
      return await runTasks(started.job, group, { clock: this.#clock, log: started.log, signal })
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }

  async close(): Promise<void> {
    this.#started = undefined
  }
}
