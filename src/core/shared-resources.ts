import type { RunnableJob } from './runnable-job.ts'

/**
 * Counts the runs that use a store, source or sink, so that the last one closes it. Two jobs of a process may share one, and closing a store
 * releases every lease it holds.
 */
const users = new WeakMap<object, number>()

export function retain(resource: object): void {
  users.set(resource, (users.get(resource) ?? 0) + 1)
}

/** Closes `resource` if this was its last user. */
export async function release(resource: Resource): Promise<void> {
  const left = (users.get(resource) ?? 1) - 1
  users.set(resource, left)
  if (left === 0) await resource.close?.()
}

type Resource = { close?(): Promise<void> }

/** The sources and sinks of a job, each once. */
export function resourcesOf({ outputs }: RunnableJob): Resource[] {
  const all = [...outputs.values()]
  return [...new Set<Resource>([...all.map(({ source }) => source), ...all.map(({ sink }) => sink)])]
}
