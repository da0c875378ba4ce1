import { type Clock, systemClock } from '../core/clock.ts'
import { ConfigError, ConnectionError } from '../core/errors.ts'
import type { Executor, ExecutorContext, ExecutorRun, RunOptions, TaskGroup } from '../core/executor.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import type { Source } from '../core/source.ts'
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
    usesGivenJob: true,
    async start(job, context) {
      return openInProcess(job, context, slots, world.clock)
    },
  }
}

/** Opens the job's sinks and runs its groups in this thread, as many at a time as there are slots. Other executors do so in theirs. */
export async function openInProcess(job: RunnableJob, context: ExecutorContext, slots: Slots, clock: Clock): Promise<InProcessRun> {
  const { streamId, log, signal } = context
  for (const { name, sink } of job.outputs.values()) await sink.open?.({ stream: job.stream, streamId, output: name, signal, log })
  return new InProcessRun(job, context, slots, clock)
}

export class InProcessRun implements ExecutorRun {
  readonly #job: RunnableJob
  readonly #context: ExecutorContext
  readonly #slots: Slots
  readonly #clock: Clock
  /** Groups that have no slot yet and of which no source has been told, in the order they came. */
  readonly #untold = new Set<TaskGroup>()
  /** Groups that sources were told of and that have not ended. */
  readonly #told = new Map<TaskGroup, Wave>()
  readonly #onIdle: (() => void)[] = []
  /** Groups that were given and have not ended. */
  #groups = 0
  #isClosed = false

  constructor(job: RunnableJob, context: ExecutorContext, slots: Slots, clock: Clock) {
    this.#job = job
    this.#context = context
    this.#slots = slots
    this.#clock = clock
  }

  /** `onStart` is told when the group has its slot. */
  async run(group: TaskGroup, { signal, onProgress, onStart }: RunOptions & { readonly onStart?: () => void }) {
    if (this.#isClosed) throw new ConnectionError('The run is over, and takes no more tasks.', { retryable: false })
    this.#groups += 1
    this.#untold.add(group)
    // All groups of a batch come in one turn: when the first begins, the source can be told of those behind it.
    await undefined
    try {
      return await this.#slots.use(() => {
        onStart?.()
        if (this.#untold.has(group)) this.#tellAhead(signal)
        return runTasks(this.#job, group, { clock: this.#clock, log: this.#context.log, signal, onProgress })
      })
    } finally {
      this.#end(group)
      this.#groups -= 1
      if (this.#groups === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    }
  }

  /** Takes no more, and waits for what runs. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#groups > 0) await new Promise<void>(resolve => this.#onIdle.push(resolve))
  }

  /** Tells sources of every range that waits, so that they may fetch small ones together; what they hold of those they drop at the end. */
  #tellAhead(signal: AbortSignal): void {
    const groups = [...this.#untold]
    this.#untold.clear()
    if (groups.length < 2) return
    const wave: Wave = { left: groups.length, over: new AbortController() }
    for (const group of groups) this.#told.set(group, wave)
    const until = AbortSignal.any([signal, wave.over.signal])
    for (const [source, own] of Map.groupBy(groups, group => this.#sourceOf(group))) {
      if (source?.prefetch === undefined) continue
      for (const [isolation, alike] of Map.groupBy(own, group => group.isolation)) {
        source.prefetch(
          alike.map(({ range }) => range),
          { isolation, signal: until },
        )
      }
    }
  }

  /** A range that its output had already is never read, and one that failed is read by another attempt: what was fetched for it is let go. */
  #end(group: TaskGroup): void {
    this.#untold.delete(group)
    const wave = this.#told.get(group)
    if (wave === undefined) return
    this.#told.delete(group)
    wave.left -= 1
    if (wave.left === 0) wave.over.abort(WAVE_OVER)
  }

  #sourceOf({ tasks: [first], watched: [name = first?.output] = [] }: TaskGroup): Source<unknown> | undefined {
    return name === undefined ? undefined : this.#job.outputs.get(name)?.source
  }
}

const WAVE_OVER = new Error('the ranges have been read')

/** Groups that were told together. */
type Wave = { left: number; readonly over: AbortController }
