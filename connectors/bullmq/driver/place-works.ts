import type { TaskGroup } from '../../../src/core/executor.ts'
import { shareGroups } from '../../../src/core/share-groups.ts'
import type { ExecutorInfo } from '../messages.ts'
import type { Pack, Work } from './packs.ts'

/** The packs that one executor gets. */
export type PlacedWorks = { readonly executor: string; readonly packs: readonly (readonly Work[])[] }

/**
 * Shares works among executors. A batch's all come together and get every slot; those that come by themselves (a slice behind the one before it, a task
 * that is tried again) go where slots are free, and to the executor that has their partition's connections if it is one of them.
 */
export function placeWorks(
  works: readonly Work[],
  executors: readonly ExecutorInfo[],
  open: readonly Pack[],
  lastPlaceOf: (group: TaskGroup) => string | undefined,
): PlacedWorks[] {
  const taken = new Map<string, number>()
  for (const { executor } of open) taken.set(executor, (taken.get(executor) ?? 0) + 1)
  const free = executors.map(({ id, slots }) => ({ id, slots: Math.max(0, slots - (taken.get(id) ?? 0)) }))
  const hasFree = free.some(({ slots }) => slots > 0)
  const [first] = works
  if (works.length === 1 && first !== undefined && hasFree) {
    const last = lastPlaceOf(first.group)
    const most = free.reduce((best, place) => (place.slots > best.slots ? place : best))
    const warm = free.find(({ id, slots }) => id === last && slots > 0)
    return [{ executor: (warm ?? most).id, packs: [[first]] }]
  }
  const workOf = new Map(works.map(work => [work.group, work]))
  const shared = shareGroups([...workOf.keys()], hasFree ? free : executors, { lastPlaceOf })
  return Array.from(
    Map.groupBy(shared, ({ place }) => place),
    ([executor, packs]) => ({
      executor,
      packs: packs.map(({ groups }) => groups.flatMap(group => workOf.get(group) ?? [])),
    }),
  )
}
