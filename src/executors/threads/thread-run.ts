import { inspect } from 'node:util'
import type { Piscina } from 'piscina'
import { systemClock } from '../../core/clock.ts'
import { errorMessage, isRetryable, TaskFailedError, type TidemarkError } from '../../core/errors.ts'
import type { ExecutorContext, ExecutorRun, RunOptions, TaskGroup, TaskResult } from '../../core/executor.ts'
import { answerWithin } from '../../util/answer-within.ts'
import type { Slots } from '../../util/slots.ts'
import { untilAborted } from '../../util/until-aborted.ts'
import { type Ending, stuck, threadLost } from './ending.ts'
import type { Entry, EntryPack, Scope } from './entry.ts'
import { GroupQueue } from './group-queue.ts'
import type { LogCall, RunDescriptor } from './messages.ts'
import { Scopes } from './scopes.ts'
import { type Held, Thread } from './thread.ts'
import { Watch } from './watch.ts'
import { replayLogCall } from './wire-log.ts'

/** Groups that a thread has beyond those it can run, so that it need not wait for the next: few, for another thread may be free sooner. */
const RESERVE = 2
/** How long threads may take to close sources and sinks, ms. */
const CLOSE_GRACE_MS = 5_000
/** Waits between threads that end without having answered anything, ms. */
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000
/** A group that was lost so often before it had begun goes back to whoever gave it. */
const MAX_TIMES_LOST = 3

const OVER = new Error('the run is over')

export type ThreadRunParts = {
  readonly pool: Piscina
  readonly size: number
  readonly maxHeapMiB: number
  readonly descriptor: RunDescriptor
  readonly context: ExecutorContext
  /** One a thread, for all runs of the executor. */
  readonly slots: Slots
}

/** A run in the threads of a pool: shares groups among them, and puts another in the place of one that ended. */
export class ThreadRun implements ExecutorRun {
  readonly #parts: ThreadRunParts
  readonly #threads = new Set<Thread>()
  readonly #scopes = new Scopes(scope => this.#cancel(scope))
  readonly #queue: GroupQueue
  readonly #watch = new Watch(this.#threads, (thread, overdue) => this.#endStuck(thread, overdue))
  readonly #over = new AbortController()
  /** What threads said while they opened: each says the same, and is heard once. */
  readonly #heard = new Set<string>()
  readonly #onOver = () => this.#tellOver()
  /** Why no thread can be replaced any more. */
  #failure: unknown
  #isStarted = false
  #closed: Promise<void> | undefined
  /** Threads that ended in a row with no answer in between. */
  #vainThreads = 0

  constructor(parts: ThreadRunParts) {
    this.#parts = parts
    this.#queue = new GroupQueue(parts.size, () => this.#wake())
  }

  /** Opens all threads. Whoever calls it closes the run, also where it rejects. */
  async open(): Promise<void> {
    const { pool, size, context } = this.#parts
    pool.on('error', error => this.#fail(new TaskFailedError(`A worker thread could not start: ${errorMessage(error)}`, { cause: error })))
    context.signal.addEventListener('abort', this.#onOver, { once: true })
    const threads = Array.from({ length: size }, () => this.#makeThread())
    await untilAborted(Promise.all(threads.map(({ opened }) => opened)), context.signal)
    this.#isStarted = true
  }

  async run(group: TaskGroup, { signal, onProgress }: RunOptions): Promise<readonly TaskResult[]> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#over.signal.aborted) throw closed()
    signal.throwIfAborted()
    if (group.tasks.length === 0) return []
    return new Promise((resolve, reject) => {
      const entry: Entry = { group, scope: this.#scopes.of(signal), onProgress, resolve, reject, timesLost: 0 }
      entry.scope.entries.add(entry)
      this.#queue.add(entry)
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { pool, context } = this.#parts
    this.#over.abort(OVER)
    this.#rejectWaiting(closed())
    const threads = [...this.#threads]
    // One that is just opening closes what it has opened then: where one failed to start, the others are to leave nothing behind.
    for (const thread of threads) thread.close()
    try {
      await answerWithin(Promise.all(threads.map(({ ended }) => ended)), CLOSE_GRACE_MS, undefined)
    } catch {
      context.log.warn({}, `threads did not close their sources and sinks within ${CLOSE_GRACE_MS} ms and are ended`)
    }
    context.signal.removeEventListener('abort', this.#onOver)
    await pool.destroy()
    this.#watch.stop()
    for (const thread of this.#threads) await thread.ended
  }

  #makeThread(): Thread {
    const { pool, descriptor, maxHeapMiB } = this.#parts
    const thread = new Thread(pool, descriptor, maxHeapMiB, {
      onLog: (call, from) => this.#log(call, from),
      onAnswers: entries => this.#answered(entries),
    })
    this.#threads.add(thread)
    thread.ended.then(ending => this.#lose(thread, ending))
    return thread
  }

  /** Gives a turn to threads that have nothing to do. */
  #wake(): void {
    const idle = [...this.#threads].filter(({ isOpen, turn }) => isOpen && turn === 'none').slice(0, this.#queue.length)
    for (const thread of idle) this.#takeTurn(thread)
    if (idle.length === 0) this.#feed()
  }

  async #takeTurn(thread: Thread): Promise<void> {
    thread.turn = 'waiting'
    await this.#parts.slots.use(async () => {
      thread.turn = 'fresh'
      // All threads that have their slot in this turn share what is there.
      await undefined
      this.#feed()
      thread.turn = 'fed'
      await thread.idle()
    })
    thread.turn = 'none'
    if (this.#queue.length > 0) this.#wake()
  }

  /** Gives packs to the threads that have the least. */
  #feed(): void {
    for (let pack = this.#queue.first; pack !== undefined; pack = this.#queue.first) {
      const thread = this.#threadFor(pack)
      if (thread === undefined) return
      this.#queue.takeFirst()
      try {
        thread.send(pack)
        this.#watch.start()
      } catch (error) {
        for (const entry of pack.entries) this.#reject(entry, error)
      }
    }
  }

  #threadFor({ isAlone }: EntryPack): Thread | undefined {
    const { slots, descriptor } = this.#parts
    const most = descriptor.concurrency + RESERVE
    let least: Thread | undefined
    for (const thread of this.#threads) {
      // Where another run waits for a slot, a thread gets its fill once and then ends its turn.
      const mayTake = thread.turn === 'fresh' || (thread.turn === 'fed' && !slots.isWanted)
      const hasRoom = isAlone ? thread.load === 0 : thread.load < most && !thread.isReserved
      if (thread.isOpen && mayTake && hasRoom && (least === undefined || thread.load < least.load)) least = thread
    }
    return least
  }

  #answered(entries: readonly Entry[]): void {
    this.#vainThreads = 0
    for (const entry of entries) this.#scopes.leave(entry)
    this.#feed()
  }

  #reject(entry: Entry, error: unknown): void {
    this.#scopes.leave(entry)
    entry.reject(error)
  }

  #cancel(scope: Scope): void {
    for (const entry of this.#queue.remove(scope)) this.#reject(entry, scope.signal.reason)
    for (const thread of this.#threads) thread.abort(scope)
  }

  #endStuck(thread: Thread, overdue: readonly Held[]): void {
    for (const { entry } of overdue) {
      thread.forget(entry)
      this.#reject(entry, entry.scope.signal.aborted ? entry.scope.signal.reason : stuck(entry.group))
    }
    thread.kill({ what: 'was ended, for another task in it did not end when it had to', isDeath: false })
  }

  #lose(thread: Thread, ending: Ending | undefined): void {
    const { context } = this.#parts
    const wasOpen = thread.wasOpen
    const isOver = this.#over.signal.aborted || context.signal.aborted
    this.#threads.delete(thread)
    for (const held of thread.takeHeld()) this.#loseGroup(held, ending)
    if (!this.#isStarted || isOver) return
    if (ending !== undefined && wasOpen) {
      context.log.warn({ err: ending.cause, threads: this.#parts.size }, `a thread ${ending.what}; another takes its place`)
      this.#replace()
    }
  }

  #loseGroup({ entry, look }: Held, ending: Ending | undefined): void {
    const { group, scope } = entry
    if (scope.signal.aborted) this.#reject(entry, scope.signal.reason)
    else if (ending === undefined || this.#over.signal.aborted) this.#reject(entry, closed())
    else if (look() === 0 && ++entry.timesLost < MAX_TIMES_LOST) this.#queue.addAgain(entry)
    else this.#reject(entry, threadLost(group, ending, ending.isDeath ? this.#queue.countDeath(group) : 0))
  }

  /** Opens another thread. While none can be opened, those that are left go on; with none left, the groups that wait go back. */
  async #replace(): Promise<void> {
    try {
      const pauseMs = this.#vainThreads === 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (this.#vainThreads - 1), MAX_PAUSE_MS)
      this.#vainThreads += 1
      await systemClock.sleep(pauseMs, this.#over.signal)
      await this.#makeThread().opened
      this.#wake()
    } catch (error) {
      if (this.#over.signal.aborted) return
      const isLast = ![...this.#threads].some(({ isOpen }) => isOpen)
      if (!isRetryable(error)) {
        if (isLast) return this.#fail(error)
        // Those that are left run what the driver has; another would not.
        this.#parts.context.log.error({ err: error }, `a thread has no successor, and the others go on: ${errorMessage(error)}`)
        return
      }
      this.#parts.context.onTrouble?.(error as TidemarkError)
      if (isLast) this.#rejectWaiting(error)
      return this.#replace()
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#rejectWaiting(error)
  }

  #rejectWaiting(error: unknown): void {
    for (const entry of this.#queue.removeAll()) this.#reject(entry, error)
  }

  #tellOver(): void {
    for (const thread of this.#threads) thread.tellOver(this.#parts.context.signal.reason)
  }

  #log(call: LogCall, { isOpen }: Thread): void {
    if (!isOpen) {
      const key = inspect(call)
      if (this.#heard.has(key)) return
      this.#heard.add(key)
    }
    replayLogCall(this.#parts.context.log, call)
  }
}

function closed(): TaskFailedError {
  return new TaskFailedError('The executor is closed: its run is over.')
}
