import { ConnectionError } from '../../../src/core/errors.ts'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { describeRedisError } from '../../../src/util/redis-error.ts'
import { makeMessages, type Pack, type Work } from './packs.ts'
import { placeWorks } from './place-works.ts'
import type { RunParts, RunState } from './run-parts.ts'

/** How long nothing is sent after packs could not be added, ms: the next look but one sends again. */
const HOLD_MS = 250

export type SenderHooks = {
  /** Told which works go out, before they do. */
  readonly onSend: (works: readonly Work[]) => void
}

/** Gives works to executors, as packs in their queues. */
export class PackSender {
  readonly #parts: RunParts
  readonly #state: RunState
  readonly #hooks: SenderHooks
  /** Works that are in no pack: new ones, those that lost theirs, all of them while no executor is there. */
  readonly #unsent = new Set<Work>()
  #count = 0
  /** By the monotonic clock. */
  #heldUntil = Number.NEGATIVE_INFINITY
  #isSending = false

  constructor(parts: RunParts, state: RunState, hooks: SenderHooks) {
    this.#parts = parts
    this.#state = state
    this.#hooks = hooks
  }

  /** All groups of a batch come in one turn: they are shared out together, behind it. */
  sendSoon(works: readonly Work[]): void {
    for (const work of works) this.#unsent.add(work)
    if (this.#isSending || this.#unsent.size === 0) return
    this.#isSending = true
    setImmediate(() => {
      this.#isSending = false
      this.sendUnsent()
    })
  }

  /** Sends what waits, if there is somebody to send it to. */
  sendUnsent(): void {
    const { executors } = this.#parts
    const { open, outage, isClosed, lastPlaces } = this.#state
    for (const work of this.#unsent) if (work.isSettled) this.#unsent.delete(work)
    if (this.#unsent.size === 0 || outage.isOn || isClosed || performance.now() < this.#heldUntil) return
    const { ready } = executors
    if (ready.length === 0) {
      this.#state.tell(new ConnectionError(executors.describeWaiting()))
      return
    }
    const works = [...this.#unsent]
    this.#unsent.clear()
    this.#hooks.onSend(works)
    const lastPlaceOf = ({ range }: TaskGroup) => lastPlaces.get(range)
    for (const { executor, packs } of placeWorks(works, ready, open.all(), lastPlaceOf)) this.send(executor, packs)
  }

  /** Sends works to one executor, a pack for each share; beside `twinOf`, where they run already. */
  send(executor: string, shares: readonly (readonly Work[])[], twinOf?: Pack): void {
    const { frame, queues, job } = this.#parts
    const packs: Pack[] = []
    for (const share of shares) {
      const { messages, refused } = makeMessages(share, frame)
      for (const { work, error } of refused) this.#state.open.fail(work, error)
      for (const { works, message } of messages) {
        const state = {
          sentAt: performance.now(),
          twin: undefined,
          startedAt: undefined,
          added: Promise.resolve(),
          isAdded: false,
          isCancelled: false,
        }
        packs.push({ ...state, id: this.#nextId(works), executor, works, message, twinOf, outages: this.#state.outage.count })
      }
    }
    if (packs.length === 0) return
    for (const pack of packs) this.#state.open.open(pack)
    const added = queues.add(executor, job.stream, packs).catch(error => this.#notAdded(packs, error))
    for (const pack of packs) {
      pack.added = added.then(() => {
        pack.isAdded = true
      })
    }
  }

  /** Some of them may be there all the same: the next look tells, and gives out again those that are not. In its time: a Redis that is full says so at once. */
  #notAdded(packs: readonly Pack[], error: unknown): void {
    const described = describeRedisError(error, this.#parts.line.address)
    if (described !== undefined && !described.retryable) {
      for (const { works } of packs) for (const work of works) this.#state.open.fail(work, described)
      return
    }
    if (described !== undefined) this.#state.tell(described)
    // When Redis comes back, the connection that looks may be there before the one that adds: each look would find the packs gone, they would go out
    // again at once, and so on, thousands of times a second.
    this.#heldUntil = performance.now() + HOLD_MS
  }

  /** `<epoch>-<batch>-<pack>-<attempt>-<nonce>`: never used twice, or BullMQ would ignore the add. */
  #nextId(works: readonly Work[]): string {
    this.#count += 1
    const [task] = works[0]?.group.tasks ?? []
    const attempt = Math.max(...works.map(({ attempts }) => attempts))
    return `${task?.epoch}-${task?.batchId}-${this.#count}-${attempt}-${this.#parts.nonce}`
  }
}
