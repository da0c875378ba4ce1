import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import type { Piscina } from 'piscina'
import { errorFromWire, errorToWire } from '../../core/error-wire.ts'
import { groupsToWire, resultsFromWire, type WireResult } from '../../core/task-wire.ts'
import { cellAt, makeBoard } from './board.ts'
import { type Ending, endingOf, openingFailed } from './ending.ts'
import type { Entry, EntryPack, Scope } from './entry.ts'
import type { FromWorker, LastWords, LogCall, RunDescriptor, SessionTask, ToWorker } from './messages.ts'
import { readPlain } from './plain-results.ts'

/** A group in its thread. */
export type Held = {
  readonly entry: Entry
  readonly isAlone: boolean
  /** What its cell on the board says. */
  readonly look: () => number
  /** What the cell said when it was looked at last. */
  seen: number
  /** Since when it is known to have begun, and to be cancelled, ms of the watch's clock. */
  begunAt: number | undefined
  cancelledAt: number | undefined
}

export type ThreadEvents = {
  readonly onLog: (call: LogCall, thread: Thread) => void
  /** Groups were answered. */
  readonly onAnswers: (entries: readonly Entry[]) => void
}

/** One worker thread as its driver sees it: a task of the pool that lasts as long as the thread, and a port for everything else. */
export class Thread {
  /** Resolves when the job is there and its sinks are open; rejects with why they are not. */
  readonly opened: Promise<void>
  /** Resolves when the thread's session is over; with why, unless it was told to close. */
  readonly ended: Promise<Ending | undefined>
  /** Groups without an answer, by id. */
  readonly held = new Map<number, Held>()
  isOpen = false
  /** Whether it ever was, now that it may have ended. */
  wasOpen = false
  /** Whether it has a slot of the executor, and whether it was given its fill since. */
  turn: 'none' | 'waiting' | 'fresh' | 'fed' = 'none'
  readonly #port: MessagePort
  readonly #events: ThreadEvents
  readonly #kill = new AbortController()
  readonly #opening = Promise.withResolvers<void>()
  #whenIdle: (() => void) | undefined
  #lastWords: LastWords | undefined
  #killedFor: Ending | undefined
  #nextId = 0

  constructor(pool: Piscina, descriptor: RunDescriptor, maxHeapMiB: number, events: ThreadEvents) {
    const { port1, port2 } = new MessageChannel()
    this.#port = port1
    this.#events = events
    this.opened = this.#opening.promise
    this.opened.catch(() => {})
    port1.on('message', (message: FromWorker) => this.#receive(message))
    const task: SessionTask = { descriptor, port: port2 }
    this.ended = pool.run(task, { transferList: [port2], signal: this.#kill.signal }).then(
      () => this.#end(undefined),
      error => this.#end(error, maxHeapMiB),
    )
  }

  /** How many groups it has. */
  get load(): number {
    return this.held.size
  }

  /** Whether it runs a group that must be the only one. */
  get isReserved(): boolean {
    const [first] = this.held.values()
    return first?.isAlone ?? false
  }

  send({ entries, scope, isAlone }: EntryPack): void {
    const groups = groupsToWire(entries.map(({ group }) => group))
    const board = makeBoard(entries.length)
    const firstId = this.#nextId
    this.#nextId += entries.length
    for (const [place, entry] of entries.entries()) {
      const look = () => cellAt(board, place)
      this.held.set(firstId + place, { entry, isAlone, look, seen: 0, begunAt: undefined, cancelledAt: undefined })
    }
    this.#post({ kind: 'pack', groups, firstId, signalId: scope.id, board })
  }

  /** Takes its groups away: it will not answer them any more. */
  takeHeld(): Held[] {
    const held = [...this.held.values()]
    this.held.clear()
    this.#tellIdle()
    return held
  }

  /** Takes a group away that has been answered otherwise. */
  forget(entry: Entry): void {
    for (const [id, held] of this.held) if (held.entry === entry) this.held.delete(id)
  }

  /** Cancels what it has of a scope. */
  abort({ id, signal, entries }: Scope): void {
    if (this.held.values().some(({ entry }) => entries.has(entry))) {
      this.#post({ kind: 'abort', signalId: id, reason: errorToWire(signal.reason) })
    }
  }

  /** Tells it that the run is over. */
  tellOver(reason: unknown): void {
    this.#post({ kind: 'over', reason: errorToWire(reason) })
  }

  /** Asks it to close sources and sinks once its groups have ended; then it ends. */
  close(): void {
    this.#post({ kind: 'close' })
  }

  /** Ends the thread whatever it does. Only once it has answered something: the pool does not take back what it has not handed out. */
  kill(ending: Ending): void {
    this.#killedFor = ending
    this.#kill.abort()
  }

  /** Resolves when it has no groups, also because it ended. */
  async idle(): Promise<void> {
    if (this.held.size === 0) return
    await new Promise<void>(resolve => {
      this.#whenIdle = resolve
    })
  }

  #post(message: ToWorker): void {
    this.#port.postMessage(message)
  }

  #receive({ opened, failed, lastWords, logs = [], plain, results = [], errors = [] }: FromWorker): void {
    for (const call of logs) this.#events.onLog(call, this)
    if (lastWords !== undefined) this.#lastWords ??= lastWords
    if (failed !== undefined) {
      this.#opening.reject(errorFromWire(failed))
      this.kill({ what: 'could not open the job', isDeath: false })
    }
    if (opened) {
      this.isOpen = true
      this.wasOpen = true
      this.#opening.resolve()
    }
    const answered: Entry[] = []
    const onResults = (id: number, wire: readonly WireResult[]) =>
      this.#answer(id, answered, ({ group, resolve }) => resolve(resultsFromWire(group, wire)))
    if (plain !== undefined) readPlain(plain, onResults)
    for (const [id, wire] of results) onResults(id, wire)
    for (const [id, wire] of errors) {
      // Why it was cancelled is the caller's own error, and stays it.
      this.#answer(id, answered, ({ scope, reject }) => reject(scope.signal.aborted ? scope.signal.reason : errorFromWire(wire)))
    }
    if (answered.length > 0) this.#events.onAnswers(answered)
    this.#tellIdle()
  }

  #answer(id: number, answered: Entry[], settle: (entry: Entry) => void): void {
    const entry = this.held.get(id)?.entry
    if (entry === undefined) return
    this.held.delete(id)
    answered.push(entry)
    try {
      settle(entry)
    } catch (error) {
      entry.reject(error)
    }
  }

  #tellIdle(): void {
    if (this.held.size > 0) return
    this.#whenIdle?.()
    this.#whenIdle = undefined
  }

  #end(error: unknown, maxHeapMiB = 0): Ending | undefined {
    // What it said before it ended counts: its answers, and why it ended.
    for (let last = receiveMessageOnPort(this.#port); last !== undefined; last = receiveMessageOnPort(this.#port))
      this.#receive(last.message)
    this.#port.close()
    this.isOpen = false
    const ending = error === undefined ? undefined : (this.#killedFor ?? endingOf(error, this.#lastWords, maxHeapMiB))
    this.#opening.reject(openingFailed(ending ?? { what: 'was closed', isDeath: false }))
    return ending
  }
}
