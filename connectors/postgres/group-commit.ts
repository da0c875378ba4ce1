import { untilAborted } from '../../src/util/until-aborted.ts'
import { isAway } from './connection.ts'
import type { SmallTask } from './encoded-rows.ts'

/** The most bytes and tasks of one transaction. */
const MAX_GROUP_BYTES = 4 * 1024 * 1024
const MAX_GROUP_TASKS = 500

type Waiting = { readonly small: SmallTask; readonly size: number; readonly done: PromiseWithResolvers<void>; hasLeft: boolean }
type Running = { readonly group: readonly Waiting[]; readonly over: AbortController }

/**
 * Puts small tasks that wait while a transaction is under way into the next one, each with its ledger row: no timer, and no wait where there is nothing to
 * wait for. A transaction's price, above all the server's fsync, is then paid once for all of them.
 */
export class GroupCommit {
  readonly #commit: (group: readonly SmallTask[], signal: AbortSignal) => Promise<void>
  readonly #waiting: Waiting[] = []
  #isRunning = false
  #running: Running | undefined

  /**
   * @param commit - writes tasks that fit together in one transaction; where it rejects for several, each is tried alone. Aborted when nobody waits for any
   *   of them any more: a network that swallows packets sends no error, and all that come later would wait behind them
   */
  constructor(commit: (group: readonly SmallTask[], signal: AbortSignal) => Promise<void>) {
    this.#commit = commit
  }

  /** Resolves when the task is in. An abort stops the waiting; what was sent may still be applied, and the ledger knows. */
  async add(small: SmallTask, signal: AbortSignal): Promise<void> {
    const size = small.messages.reduce((sum, message) => sum + message.length, 0)
    const waiting: Waiting = { small, size, done: Promise.withResolvers(), hasLeft: false }
    waiting.done.promise.catch(() => {})
    this.#waiting.push(waiting)
    if (!this.#isRunning) this.#run()
    try {
      await untilAborted(waiting.done.promise, signal)
    } catch (error) {
      waiting.hasLeft = true
      const at = this.#waiting.indexOf(waiting)
      if (at !== -1) this.#waiting.splice(at, 1)
      if (this.#running?.group.every(({ hasLeft }) => hasLeft)) this.#running.over.abort(error)
      throw error
    }
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) await this.#runGroup(this.#takeGroup())
    this.#isRunning = false
  }

  async #runGroup(group: readonly Waiting[]): Promise<void> {
    if (group.every(({ hasLeft }) => hasLeft)) return
    const over = new AbortController()
    this.#running = { group, over }
    try {
      await this.#commit(
        group.map(({ small }) => small),
        over.signal,
      )
      for (const { done } of group) done.resolve()
    } catch (error) {
      // Of a server that is away each alone would find out by itself, and five hundred of them one after another.
      if (group.length === 1 || isAway(error)) {
        for (const { done } of group) done.reject(error)
        return
      }
      // One of them is at fault, and only alone does its error name it: the others must not fail with it.
      for (const waiting of group) await this.#runGroup([waiting])
    }
  }

  #takeGroup(): Waiting[] {
    const [first] = this.#waiting
    const group: Waiting[] = []
    let bytes = 0
    const indexes = new Set<number>()
    for (const waiting of [...this.#waiting]) {
      const { task } = waiting.small
      // Twins of one task in one transaction would each find the other's ledger row.
      if (first === undefined || !fitTogether(first.small, waiting.small) || indexes.has(task.index)) continue
      bytes += waiting.size
      if (group.length > 0 && (bytes > MAX_GROUP_BYTES || group.length === MAX_GROUP_TASKS)) break
      group.push(waiting)
      indexes.add(task.index)
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
    }
    return group
  }
}

/** Of one batch under one epoch, and with rows of the same columns, or none. */
function fitTogether(first: SmallTask, other: SmallTask): boolean {
  return first.task.batchId === other.task.batchId && first.task.epoch === other.task.epoch && first.target?.id === other.target?.id
}
