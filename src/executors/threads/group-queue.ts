import type { TaskGroup } from '../../core/executor.ts'
import { shareGroups } from '../../core/share-groups.ts'
import type { Entry, EntryPack, Scope } from './entry.ts'

/** Groups that wait for a thread, in packs: all that come in one turn are shared together. Also counts how often a group's thread died. */
export class GroupQueue {
  readonly #threads: number
  readonly #onPacks: () => void
  #arrived: Entry[] = []
  #packs: EntryPack[] = []
  /** By batch and index. */
  readonly #deaths = new Map<string, Map<number, number>>()

  constructor(threads: number, onPacks: () => void) {
    this.#threads = threads
    this.#onPacks = onPacks
  }

  /** How many packs wait. */
  get length(): number {
    return this.#packs.length
  }

  get first(): EntryPack | undefined {
    return this.#packs[0]
  }

  takeFirst(): void {
    this.#packs.shift()
  }

  add(entry: Entry): void {
    this.#arrived.push(entry)
    // All groups of a batch come in one turn.
    if (this.#arrived.length === 1) queueMicrotask(() => this.#share())
  }

  /** A group that never began in the thread it was sent to goes in front. */
  addAgain(entry: Entry): void {
    this.#packs.unshift({ entries: [entry], scope: entry.scope, isAlone: false })
    queueMicrotask(this.#onPacks)
  }

  /** Notes that a thread died with this group in it, and says how often that was. */
  countDeath(group: TaskGroup): number {
    const batch = batchOf(group)
    const deaths = this.#deaths.get(batch) ?? new Map<number, number>()
    const count = (deaths.get(indexOf(group)) ?? 0) + 1
    deaths.set(indexOf(group), count)
    this.#deaths.set(batch, deaths)
    // A batch that is over is not heard of again: those of the last two stay.
    const [oldest] = this.#deaths.keys()
    if (this.#deaths.size > 2 && oldest !== undefined) this.#deaths.delete(oldest)
    return count
  }

  remove(scope: Scope): Entry[] {
    const removed = this.#packs.filter(pack => pack.scope === scope).flatMap(({ entries }) => entries)
    this.#packs = this.#packs.filter(pack => pack.scope !== scope)
    const arrived = this.#arrived.filter(entry => entry.scope === scope)
    this.#arrived = this.#arrived.filter(entry => entry.scope !== scope)
    return [...removed, ...arrived]
  }

  removeAll(): Entry[] {
    const all = [...this.#packs.flatMap(({ entries }) => entries), ...this.#arrived]
    this.#packs = []
    this.#arrived = []
    return all
  }

  #share(): void {
    const arrived = this.#arrived
    this.#arrived = []
    const [alone = [], together = []] = [true, false].map(died => arrived.filter(({ group }) => this.#hasDied(group) === died))
    for (const [scope, ofScope] of Map.groupBy(together, entry => entry.scope)) {
      for (const entries of Map.groupBy(ofScope, ({ group }) => batchOf(group)).values())
        this.#packs.push(...packsOf(entries, scope, this.#threads))
    }
    for (const entry of alone) this.#packs.push({ entries: [entry], scope: entry.scope, isAlone: true })
    this.#onPacks()
  }

  #hasDied(group: TaskGroup): boolean {
    return this.#deaths.size > 0 && (this.#deaths.get(batchOf(group))?.has(indexOf(group)) ?? false)
  }
}

function packsOf(entries: readonly Entry[], scope: Scope, threads: number): EntryPack[] {
  // A list each: nothing says that nobody gives a group twice.
  const byGroup = Map.groupBy(entries, ({ group }) => group)
  const packs = shareGroups(
    entries.map(({ group }) => group),
    [{ id: 'threads', slots: threads }],
  )
  return packs.map(({ groups }) => ({ entries: groups.flatMap(group => byGroup.get(group)?.pop() ?? []), scope, isAlone: false }))
}

function batchOf({ tasks: [task] }: TaskGroup): string {
  return `${task?.stream}:${task?.epoch}:${task?.batchId}:${task?.batchTime}`
}

function indexOf({ tasks: [task] }: TaskGroup): number {
  return task?.index ?? 0
}
