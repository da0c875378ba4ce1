import { applyStages } from './apply-stages.ts'
import type { Clock } from './clock.ts'
import { isLetterable } from './dead-letters/dead-letter.ts'
import { findLetters } from './dead-letters/find-letters.ts'
import { LetterTap } from './dead-letters/letter-tap.ts'
import { ConfigError, DataLossError, isTidemarkError, JobError, RecordError, TaskFailedError, type TidemarkError } from './errors.ts'
import type { SkippedRecords, TaskGroup, TaskLoss, TaskResult } from './executor.ts'
import { withOffset } from './find-offset.ts'
import { howToGoOn } from './how-to-go-on.ts'
import type { Log } from './log.ts'
import { RangeRead } from './range-read.ts'
import type { OnSkip, RecordOrigins, RowStage } from './row-pipeline.ts'
import type { RangeContext, RunnableJob, RunnableOutput } from './runnable-job.ts'
import { shareRows } from './share-rows.ts'
import type { TaskLife } from './task-life.ts'
import { showRange, type Task } from './values.ts'

/** How many of the records that are left out are told of one by one. */
const MAX_SAMPLES = 10
/** How long the outputs of a range wait for the slowest of them before it goes on with a read of its own, ms. */
export const DEFAULT_OUTPUT_WAIT_MS = 5_000

type Rows = AsyncIterable<readonly unknown[]>

export type RunnerContext = {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  /** Told whenever bytes came or rows went, also in the midst of an array. */
  readonly onProgress?: (() => void) | undefined
}

/** A task at work: its output's part of a read. */
type Branch = {
  readonly task: Task
  readonly output: RunnableOutput
  /** Which it has its records from: the one that all share, or its own since it was left behind. */
  read: RangeRead
  /** Up to which of its stages it no longer has them from the shared read; 0 while it does. */
  apartUpTo: number
  /** The stages in front of that, since. */
  ownStages: object | undefined
  rows: number
  gathered: unknown[] | undefined
  skipped: number
  readonly samples: SkippedRecords['samples'][number][]
  /** Whether it has drawn all its rows. */
  isDrained: boolean
  outcome: 'running' | 'in' | 'applied' | { readonly error: unknown }
}

/** One attempt of the tasks of a range. Each output comes to its own end; what is shared is the read and the stages that they have in common. */
export class RangeRun {
  readonly #job: RunnableJob
  readonly #group: TaskGroup
  readonly #context: RunnerContext
  readonly #life: TaskLife
  readonly #startTime: number
  readonly #branches: Branch[] = []
  readonly #reads: RangeRead[] = []
  readonly #losses: TaskLoss[] = []
  readonly #origins: RecordOrigins = new WeakMap()
  /** Where the group has a task for dead letters. */
  #tap: LetterTap | undefined

  constructor(job: RunnableJob, group: TaskGroup, context: RunnerContext, life: TaskLife) {
    this.#job = job
    this.#group = group
    this.#context = context
    this.#life = life
    this.#startTime = context.clock.now()
  }

  /** Resolves with what became of each task, or rejects where all of them failed for one reason. */
  async run(): Promise<TaskResult[]> {
    const { tasks, range } = this.#group
    this.#life.signal.throwIfAborted()
    const outputs = tasks.map(task => this.#outputOf(task.output, task))
    const watched = this.#watched()
    const source = watched[0]?.source ?? outputs[0]?.source
    if (source === undefined) return this.#conclude()
    const shared = this.#read(
      new RangeRead(
        source,
        range,
        this.#readOptions(array => this.#tap?.passed(array, shared.mark)),
      ),
    )
    for (const [at, task] of tasks.entries()) this.#branches.push(newBranch(task, outputs[at] as RunnableOutput, shared))
    const letters = this.#branches.find(({ output }) => output.isDeadLetters)
    const branches = this.#branches.filter(branch => branch !== letters)
    try {
      if (letters === undefined) await this.#runBranches(shared.rows(), branches, 0)
      else await this.#runWithLetters(shared, branches, letters, watched)
    } finally {
      for (const read of this.#reads) read.close()
    }
    const isAllIn = this.#branches.every(({ outcome }) => outcome === 'in' || outcome === 'applied')
    if (isAllIn && this.#reads.every(({ isDrained, hasBegun }) => isDrained || !hasBegun)) this.#life.end()
    await this.#findOffsets()
    return this.#conclude()
  }

  /** What is in, when the rest did not come to its end; rejects with why where nothing is. */
  salvage(error: unknown): TaskResult[] {
    const isAnyIn = this.#branches.some(({ outcome }) => outcome === 'in' || outcome === 'applied')
    if (!isAnyIn || this.#context.signal.aborted || isTidemarkError(error, 'FENCED')) throw error
    return this.#results(error)
  }

  #outputOf(name: string, task?: Task): RunnableOutput {
    const output = this.#job.outputs.get(name)
    if (output !== undefined) return output
    const what = task === undefined ? showRange(this.#group.range) : describe(task)
    throw new JobError(`Task ${what} is for an output that the job does not have: ${name}.`)
  }

  /** The outputs whose lost records are letters. */
  #watched(): RunnableOutput[] {
    return (this.#group.watched ?? []).map(name => this.#outputOf(name))
  }

  #readOptions(onPassed?: (array: readonly unknown[]) => Promise<void> | undefined) {
    return {
      isolation: this.#group.isolation,
      timestamps: this.#group.timestamps,
      signal: this.#life.signal,
      onProgress: this.#context.onProgress,
      onDataLoss: (loss: DataLossError) => this.#noteLoss(loss),
      onPassed,
    }
  }

  #read(read: RangeRead): RangeRead {
    this.#reads.push(read)
    return read
  }

  #noteLoss(loss: DataLossError): void {
    const { onDataLoss, tasks } = this.#group
    if (onDataLoss[loss.lossCause] === 'fail') throw withWayOut(loss, this.#group)
    const { lossCause: cause, message, missing, resumeAt } = loss
    const isSame = (other: TaskLoss) => other.cause === cause && JSON.stringify(other.missing) === JSON.stringify(missing)
    // A read that goes on from another may come by the same gap.
    if (this.#losses.some(isSame)) return
    // Here already: should the driver end before it hears of it, the next finds the task applied and nothing to tell.
    this.#context.log.warn({ stream: tasks[0]?.stream, batch: tasks[0]?.batchId, cause, missing }, `data loss, going on: ${message}`)
    this.#losses.push({ cause, message, missing, ...(resumeAt !== undefined && { resumeAt }) })
  }

  async #runWithLetters(
    shared: RangeRead,
    branches: readonly Branch[],
    letters: Branch,
    watched: readonly RunnableOutput[],
  ): Promise<void> {
    const { clock } = this.#context
    const context = rangeContext(letters.task)
    const maxWaitMs = this.#maxWaitMs
    const tap = new LetterTap(shared.mark, { clock, maxWaitMs, outputs: watched.map(({ name }) => name), context })
    this.#tap = tap
    // Those that have it already or are not asked for work nothing out.
    if (!watched.every(output => branches.some(branch => branch.output === output))) tap.turnOff()
    const rows = branches.length === 0 ? Promise.resolve() : this.#runBranches(shared.rows(), branches, 0)
    const ended = rows.then(() => {
      if (shared.failure !== undefined) tap.fail(shared.failure.error)
      else if (shared.isDrained) tap.end()
      else tap.turnOff()
    })
    // When it has ended, however it did, nobody takes letters any more.
    const written = this.#write(this.#letters(tap, letters, watched), letters).then(() => tap.turnOff())
    await Promise.all([ended, written])
  }

  async *#letters(tap: LetterTap, branch: Branch, watched: readonly RunnableOutput[]): AsyncGenerator<readonly unknown[]> {
    for (;;) {
      const tapped = await tap.next()
      if (tapped === 'end') return
      if (tapped === 'alone') break
      yield tapped
    }
    const { range } = this.#group
    const [first] = watched
    const { position: from } = tap.reached
    if (from === undefined) {
      throw new TaskFailedError(
        `The dead letters of ${showRange(range)} have to be worked out once more, for an output beside them did not come to its end.`,
        { retryable: true, details: { ...range } },
      )
    }
    if (first === undefined || from >= range.untilOffset) return
    branch.read = this.#read(new RangeRead(first.source, { ...range, fromOffset: from }, { ...this.#readOptions(), before: tap.reached }))
    yield* findLetters(branch.read.rows(), watched, rangeContext(branch.task), this.#context.onProgress)
  }

  /** Applies the stages that all branches have in common from `depth` on, then parts the rows where they fork. Each branch comes to its own end. */
  async #runBranches(rows: Rows, branches: readonly Branch[], depth: number): Promise<void> {
    const first = branches[0] as Branch
    let end = depth
    while (end < first.output.stages.length && branches.every(({ output }) => output.stages[end] === first.output.stages[end])) end++
    const staged = this.#applyStages(rows, branches, depth, end)
    if (branches.length === 1) return this.#write(staged, first)
    const forks = groupByStage(branches, end)
    const shared = shareRows(staged, forks.length, {
      clock: this.#context.clock,
      maxWaitMs: this.#maxWaitMs,
      resume: at => this.#goApart(forks[at] as Branch[], end),
    })
    await Promise.all(
      forks.map(async (fork, at) => {
        // Several outputs that end at the same stage each get the rows as they are.
        await this.#runBranches(shared.branches[at] as Rows, fork, end)
        // A sink that found its task applied, or failed, never asks again: the others must not wait for it.
        shared.leave(at)
      }),
    )
  }

  #applyStages(rows: Rows, branches: readonly Branch[], depth: number, end: number, own?: object): Rows {
    const first = branches[0] as Branch
    const counts = (branch: Branch) => branch.ownStages === own || (own === undefined && depth >= branch.apartUpTo)
    const onSkip: OnSkip = (error, record, stage) => this.#leaveOut(error, record, stage, branches.filter(counts))
    return applyStages(rows, first.output.stages.slice(depth, end), rangeContext(first.task), {
      onSkip: this.#group.onRecordError === 'fail' ? undefined : onSkip,
      origins: this.#origins,
      isOfSource: depth === 0,
      // Behind a fork, also where one alone goes on, the records of rows are known from here only.
      willFork: branches.length > 1 || own !== undefined,
      onProgress: this.#context.onProgress,
    })
  }

  /**
   * Outputs that the others waited for go on with a read of their own, from behind what they have: the same rows, for stages take record by record. Not
   * behind a `mapRange`, which would have to begin anew, nor where records do not say where they are.
   */
  #goApart(fork: readonly Branch[], end: number): Rows | undefined {
    const going = fork.filter(({ apartUpTo }) => apartUpTo <= end)
    const [first] = going
    if (first === undefined || first.output.stages.slice(0, end).some(({ kind }) => kind === 'mapRange')) return undefined
    const { position, range } = first.read
    if (position === undefined) return undefined
    this.#tap?.turnOff()
    const { stream, batchId } = first.task
    const outputs = going.map(({ output }) => output.name)
    const sentence = `the others of ${showRange(this.#group.range)} waited ${this.#maxWaitMs} ms for output ${outputs.join(', ')}: it goes on with a read of its own`
    this.#context.log.info({ stream, batch: batchId, outputs }, sentence)
    const rest = { ...range, fromOffset: Math.min(position, range.untilOffset) }
    const read = this.#read(new RangeRead(first.output.source, rest, { ...this.#readOptions(), before: first.read.mark }))
    const own = {}
    for (const branch of going) Object.assign(branch, { read, apartUpTo: end, ownStages: own })
    return this.#applyStages(read.rows(), going, 0, end, own)
  }

  /** A record that a function failed on: counted for every output that would have had it, or a dead letter. */
  #leaveOut(error: TidemarkError, record: unknown, stage: RowStage | undefined, branches: readonly Branch[]): void {
    const { message, details } = error
    if (this.#group.onRecordError === 'deadLetter') {
      if (!isLetterable(record)) throw noLetter(error)
      // What is worked out apart from the shared read is not in step with it; by then the tap is off.
      this.#tap?.note({ record, error, stage, outputs: branches.map(({ output }) => output.name) })
      return
    }
    const offset = typeof details.offset === 'number' ? details.offset : undefined
    for (const branch of branches) {
      branch.skipped += 1
      if (branch.samples.length < MAX_SAMPLES) branch.samples.push({ offset, stage: String(details.stage), message })
    }
  }

  /** Gives a branch its rows. Never rejects: how it ended stands in the branch. */
  async #write(rows: Rows, branch: Branch): Promise<void> {
    const { task, output } = branch
    const { signal } = this.#life
    try {
      // A sink that only listens for the abort would wait for ever for one that has been.
      signal.throwIfAborted()
      if (await output.sink.applied?.(task)) branch.outcome = 'applied'
      else {
        signal.throwIfAborted()
        const counted = this.#countRows(rows, branch) as AsyncIterable<readonly never[]>
        const { log, onProgress } = this.#context
        await output.sink.write(task, counted, { signal, log, onProgress })
        branch.outcome = 'in'
      }
    } catch (thrown) {
      const error = this.#life.causeOf(thrown)
      branch.outcome = { error }
      // Another driver writes now: none of these may go on.
      if (isTidemarkError(error, 'FENCED')) this.#life.fail(error)
    }
    if (!branch.isDrained && !output.isDeadLetters) this.#tap?.turnOff()
  }

  async *#countRows(rows: Rows, branch: Branch): AsyncGenerator<readonly unknown[]> {
    const { output, task } = branch
    for await (const array of rows) {
      branch.rows += array.length
      this.#context.onProgress?.()
      if (branch.gathered !== undefined) {
        if (branch.rows > (output.gatherMaxRows ?? 0)) throw gatheredTooMany(output, task.batchId)
        for (const row of array) branch.gathered.push(row)
      }
      yield array
    }
    branch.isDrained = true
  }

  /** Names the record of each row that a destination refused. */
  async #findOffsets(): Promise<void> {
    const { range, isolation, onRecordError, timestamps } = this.#group
    for (const branch of this.#branches) {
      // A letter's row says itself where it is from.
      if (typeof branch.outcome === 'string' || branch.output.isDeadLetters) continue
      const error = await withOffset(branch.outcome.error, {
        outputs: [branch.output],
        range,
        context: rangeContext(branch.task),
        options: { isolation, signal: this.#life.restSignal },
        maySkip: onRecordError !== 'fail',
        ...(timestamps && { timestamps }),
        onProgress: this.#context.onProgress,
      })
      branch.outcome = { error }
    }
  }

  #conclude(): TaskResult[] {
    const errors = this.#branches.flatMap(({ outcome }) => (typeof outcome === 'string' ? [] : [outcome.error]))
    const fenced = errors.find(error => isTidemarkError(error, 'FENCED'))
    if (fenced !== undefined) throw fenced
    if (errors.length > 0 && this.#context.signal.aborted) throw this.#context.signal.reason
    if (errors.length > 0 && errors.length === this.#branches.length) {
      // One reason for all: they are tried again together. A source that ended is one, whatever sinks made of it.
      const failure = this.#reads.length === 1 ? this.#reads[0]?.failure : undefined
      const [first] = errors
      if (failure !== undefined && errors.length > 1) throw failure.error
      if (errors.every(error => error === first)) throw first
    }
    return this.#results(undefined)
  }

  #results(unfinished: unknown): TaskResult[] {
    const endTime = this.#context.clock.now()
    return this.#branches.map(({ task, outcome, read, rows, gathered, skipped, samples }): TaskResult => {
      const times = { startTime: this.#startTime, endTime }
      if (outcome === 'applied') return { task, alreadyApplied: true, records: 0, rows: 0, bytes: 0, ...times }
      const { records, bytes, outsideTime } = read
      const counts = { task, alreadyApplied: false, records, rows, bytes, ...times }
      if (outcome !== 'in') return { ...counts, error: outcome === 'running' ? unfinished : outcome.error }
      return {
        ...counts,
        ...(outsideTime > 0 && { outsideTime }),
        ...(skipped > 0 && { skipped: { count: skipped, samples } }),
        ...(this.#losses.length > 0 && { losses: this.#losses }),
        ...(gathered && { gathered }),
      }
    })
  }

  get #maxWaitMs(): number {
    return this.#group.maxOutputWaitMs ?? DEFAULT_OUTPUT_WAIT_MS
  }
}

function newBranch(task: Task, output: RunnableOutput, read: RangeRead): Branch {
  return {
    ...{ task, output, read, apartUpTo: 0, ownStages: undefined, rows: 0, skipped: 0, samples: [], isDrained: false, outcome: 'running' },
    gathered: output.gatherMaxRows === undefined ? undefined : [],
  }
}

/** Branches that go on with the same stage stay together; those that end here part for good. */
function groupByStage(branches: readonly Branch[], depth: number): Branch[][] {
  const forks = new Map<unknown, Branch[]>()
  for (const branch of branches) {
    const key = branch.output.stages[depth] ?? branch
    const fork = forks.get(key)
    if (fork === undefined) forks.set(key, [branch])
    else fork.push(branch)
  }
  return [...forks.values()]
}

function rangeContext({ stream, batchId, epoch, index, range, batchTime }: Task): RangeContext {
  return { stream, batchId, epoch, index, range, batchTime }
}

/** What a batch with more rows than its output gathers ends with. */
export function gatheredTooMany({ name, gatherMaxRows }: RunnableOutput, batchId: number): ConfigError {
  return new ConfigError(
    `Output ${name} gathers a batch's rows on the driver and takes at most ${gatherMaxRows}; batch ${batchId} has more. Lower ` +
      `limits.maxRecordsPerBatch, raise the output's maxRows, or use forEachRange, which gathers nothing.`,
  )
}

/** What a driver's operator has to know beside what is gone: the batch is begun, and how it comes to its end. */
function withWayOut(loss: DataLossError, { tasks }: TaskGroup): DataLossError {
  const { lossCause, missing, resumeAt, details } = loss
  const options = { details, cause: loss, ...(resumeAt !== undefined && { resumeAt }) }
  return new DataLossError(lossCause, `${loss.message} ${howToGoOn(lossCause, tasks[0]?.batchId)}`, missing, options)
}

function noLetter(error: TidemarkError): RecordError {
  return new RecordError(
    `${error.message} It cannot be a dead letter: it is a row that mapRange made, or of a source whose records have no topic, partition and offset. ` +
      'Check it in front of mapRange, in a map of its own, or catch the error there.',
    { details: error.details, cause: error },
  )
}

function describe(task: Task): string {
  return `${task.index} of batch ${task.batchId} (${showRange(task.range)}, output ${task.output})`
}
