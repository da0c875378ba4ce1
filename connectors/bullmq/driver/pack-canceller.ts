import type { After } from './open-packs.ts'
import type { Pack, Work } from './packs.ts'
import type { RunParts, RunState } from './run-parts.ts'

/** How long a pack that was told to end may take to say so, ms: its executor may be gone, and its lock then is, too. */
const END_WITHIN_MS = 3_000

export type CancellerHooks = {
  readonly onOver: (after: After) => void
  readonly lookSoon: () => void
}

/** `left` of its works are not settled. */
type Watched = { left: number; readonly stop: () => void }

/** Ends packs that nobody waits for any more, so that none of them runs later. */
export class PackCanceller {
  readonly #parts: RunParts
  readonly #state: RunState
  readonly #hooks: CancellerHooks
  readonly #watched = new Map<AbortSignal, Watched>()

  constructor(parts: RunParts, state: RunState, hooks: CancellerHooks) {
    this.#parts = parts
    this.#state = state
    this.#hooks = hooks
    state.onSettled = work => this.#unwatch(work)
  }

  /** Ends a work when its signal aborts. One listener a signal: each that is added looks through all before it, and ten thousand take a second. */
  watch(work: Work): void {
    const { signal } = work.options
    const watched = this.#watched.get(signal)
    if (watched !== undefined) {
      watched.left += 1
      return
    }
    const onAbort = () => this.#abort(signal)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#watched.set(signal, { left: 1, stop: () => signal.removeEventListener('abort', onAbort) })
  }

  /** A batch's signal follows that of its run, which would hold every batch there ever was for as long as somebody listens. */
  #unwatch(work: Work): void {
    const { signal } = work.options
    const watched = this.#watched.get(signal)
    if (watched === undefined) return
    watched.left -= 1
    if (watched.left > 0) return
    watched.stop()
    this.#watched.delete(signal)
  }

  /** Takes packs back that nobody has begun, and has the executors of the others told. */
  async cancel(packs: readonly Pack[]): Promise<void> {
    const rest = new Set(packs)
    try {
      await Promise.all(packs.map(({ added }) => added))
      for (const pack of await this.#parts.scripts.takeBack(packs)) {
        rest.delete(pack)
        this.#hooks.onOver(this.#state.open.lose(pack))
      }
    } catch {
      // Redis is away: the look fails too, and tells.
    }
    for (const { id } of rest) this.#state.cancelled.add(id)
    this.#state.over.push(...[...rest].filter(pack => !this.#state.open.has(pack)))
    if (rest.size > 0) this.#hooks.lookSoon()
  }

  #abort(signal: AbortSignal): void {
    const packs = new Set<Pack>()
    for (const work of [...this.#state.open.works]) {
      if (work.options.signal !== signal) continue
      if (work.packs.length === 0) this.#state.open.fail(work, signal.reason)
      for (const pack of work.packs) packs.add(pack)
    }
    if (packs.size === 0) return
    // A pack ends as one: groups in it that are still wanted go out again.
    for (const pack of packs) pack.isCancelled = true
    this.cancel([...packs]).catch(this.#state.note('packs could not be cancelled'))
    setTimeout(() => {
      for (const pack of packs) if (this.#state.open.has(pack)) this.#hooks.onOver(this.#state.open.lose(pack))
    }, END_WITHIN_MS).unref()
  }
}
