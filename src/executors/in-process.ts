import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError } from '../core/errors.ts'
import type { Executor, ExecutorContext, ExecutorRun, TaskGroup } from '../core/executor.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import { runTasks } from '../core/task-runner.ts'
import { Slots } from '../util/slots.ts'

/** How many of the ranges that wait for a slot a source is told of, and when it is told of more. */
const TOLD_AHEAD = 256
const TELL_AT = 64

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
      return new InProcessRun(job, context, slots, world.clock)
    },
  }
}

async function openSinks(job: RunnableJob, { streamId, log, signal }: ExecutorContext): Promise<void> {
  for (const { name, sink } of job.outputs.values()) await sink.open?.({ stream: job.stream, streamId, output: name, signal, log })
}

class InProcessRun implements ExecutorRun {
  readonly #job: RunnableJob
  readonly #context: ExecutorContext
  readonly #slots: Slots
  readonly #clock: Clock
  /** Groups that have no slot yet, in the order they came; a Set, so that one can leave from anywhere. */
  readonly #waiting = new Set<TaskGroup>()
  #told = 0

  constructor(job: RunnableJob, context: ExecutorContext, slots: Slots, clock: Clock) {
    this.#job = job
    this.#context = context
    this.#slots = slots
    this.#clock = clock
  }

  async run(group: TaskGroup, { signal }: { readonly signal: AbortSignal }) {
    this.#waiting.add(group)
    // All groups of a batch come in one turn: when the first begins, the source can be told of those behind it.
    await undefined
    return this.#slots.use(() => {
      this.#tellAhead(group, signal)
      this.#waiting.delete(group)
      return runTasks(this.#job, group, { clock: this.#clock, log: this.#context.log, signal })
    })
  }

  async close(): Promise<void> {}

  #tellAhead({ isolation }: TaskGroup, signal: AbortSignal): void {
    this.#told -= 1
    if (this.#told > TELL_AT || this.#waiting.size < 2) return
    const bySource = Map.groupBy(
      this.#waiting.values().take(TOLD_AHEAD),
      group => this.#job.outputs.get(group.tasks[0]?.output ?? '')?.source,
    )
    for (const [source, groups] of bySource)
      source?.prefetch?.(
        groups.map(({ range }) => range),
        { isolation, signal },
      )
    this.#told = Math.min(this.#waiting.size, TOLD_AHEAD)
  }
}
