import { systemClock } from '../../core/clock.ts'
import { errorFromWire, errorToWire, type WireError } from '../../core/error-wire.ts'
import type { ExecutorContext, TaskGroup } from '../../core/executor.ts'
import type { RunnableJob } from '../../core/runnable-job.ts'
import { groupsFromWire, resultsToWire } from '../../core/task-wire.ts'
import { Slots } from '../../util/slots.ts'
import { type InProcessRun, openInProcess } from '../in-process.ts'
import { note } from './board.ts'
import type { PackMessage } from './messages.ts'
import type { Outbox } from './outbox.ts'

/** A group in its thread. */
type Held = { readonly id: number; hasBegun: boolean; isAnswered: boolean }

/** Groups that are cancelled together. */
type Scope = { readonly abort: AbortController; readonly held: Set<Held> }

/** Runs a thread's groups as the in-process executor does, and answers each as soon as it has ended. */
export class WorkerRun {
  readonly #run: InProcessRun
  readonly #outbox: Outbox
  readonly #scopes = new Map<number, Scope>()
  readonly #running = new Set<Promise<void>>()

  private constructor(run: InProcessRun, outbox: Outbox) {
    this.#run = run
    this.#outbox = outbox
  }

  /** Opens the job's sinks. */
  static async open(job: RunnableJob, context: ExecutorContext, concurrency: number, outbox: Outbox): Promise<WorkerRun> {
    return new WorkerRun(await openInProcess(job, context, new Slots(concurrency), systemClock), outbox)
  }

  take({ groups, firstId, signalId, board }: PackMessage): void {
    const scope = this.#scopes.get(signalId) ?? { abort: new AbortController(), held: new Set() }
    this.#scopes.set(signalId, scope)
    for (const [place, group] of groupsFromWire(groups).entries()) {
      const held: Held = { id: firstId + place, hasBegun: false, isAnswered: false }
      scope.held.add(held)
      const ended = this.#work(group, held, scope, () => note(board, place)).then(() => {
        this.#running.delete(ended)
        scope.held.delete(held)
        if (scope.held.size === 0) this.#scopes.delete(signalId)
      })
      this.#running.add(ended)
    }
  }

  /** Cancels a pack's groups. Those that have not begun are answered now: they may wait long for their turn to hear of it. */
  abort(signalId: number, reason: WireError): void {
    const scope = this.#scopes.get(signalId)
    if (scope === undefined) return
    scope.abort.abort(errorFromWire(reason))
    for (const held of scope.held) if (!held.hasBegun) this.#answer(held, () => this.#outbox.addError(held.id, reason))
  }

  /** Resolves when every group has ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
  }

  async #work(group: TaskGroup, held: Held, { abort: { signal } }: Scope, onProgress: () => void): Promise<void> {
    const onStart = () => {
      held.hasBegun = true
      onProgress()
    }
    try {
      const results = resultsToWire(await this.#run.run(group, { signal, onProgress, onStart }))
      this.#answer(held, () => this.#outbox.addResults(held.id, results))
    } catch (error) {
      this.#answer(held, () => this.#outbox.addError(held.id, errorToWire(error)))
    }
  }

  #answer(held: Held, send: () => void): void {
    if (held.isAnswered) return
    held.isAnswered = true
    send()
  }
}
