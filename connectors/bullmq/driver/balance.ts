import type { ExecutorInfo } from '../messages.ts'
import type { QueueLoad } from './pack-scripts.ts'
import type { Pack } from './packs.ts'

/** Slots of executors that have nothing to do and nothing in front of them. */
export class FreeSlots {
  readonly #free: Map<string, number>

  constructor(executors: readonly ExecutorInfo[], loads: ReadonlyMap<string, QueueLoad>) {
    this.#free = new Map(executors.map(({ id, slots }) => [id, freeOf(slots, loads.get(id))]))
  }

  get any(): boolean {
    return [...this.#free.values()].some(free => free > 0)
  }

  /** The executor with most of them, and one less there; undefined where there is none. */
  take(except?: string): string | undefined {
    let most: string | undefined
    for (const [id, free] of this.#free) if (id !== except && free > 0 && free > (this.#free.get(most ?? '') ?? 0)) most = id
    if (most !== undefined) this.#free.set(most, (this.#free.get(most) ?? 0) - 1)
    return most
  }
}

/**
 * Waiting packs of executors that have all their slots full, the last of the longest queue first: what may go to executors that have nothing to do, because
 * they have just come, or theirs was done sooner.
 */
export function movablePacks(waiting: readonly Pack[], executors: readonly ExecutorInfo[], loads: ReadonlyMap<string, QueueLoad>): Pack[] {
  const full = new Set(executors.filter(({ id, slots }) => (loads.get(id)?.active ?? 0) >= slots).map(({ id }) => id))
  const queues = [
    ...Map.groupBy(
      waiting.filter(({ executor }) => full.has(executor)),
      ({ executor }) => executor,
    ).values(),
  ]
  const movable: Pack[] = []
  for (;;) {
    const longest = queues.reduce<Pack[] | undefined>((most, queue) => (queue.length > (most?.length ?? 0) ? queue : most), undefined)
    const last = longest?.pop()
    if (last === undefined) return movable
    movable.push(last)
  }
}

function freeOf(slots: number, load: QueueLoad | undefined): number {
  return load === undefined || load.waiting > 0 ? 0 : Math.max(0, slots - load.active)
}
