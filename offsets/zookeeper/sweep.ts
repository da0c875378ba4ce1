import { removeStaged } from './blobs.ts'
import { removeGeneration } from './remove-all.ts'
import type { Session } from './session.ts'
import { generationOf, type StreamPaths } from './stream-paths.ts'

/**
 * Removes what writers left behind that died halfway: parts that no head points to, restores that never ended, streams that were removed and not
 * cleared away. For whoever has just been granted the lease of `generation`.
 */
export async function sweep(session: Session, paths: StreamPaths, generation: string): Promise<void> {
  const own = generationOf(paths, generation)
  const [generations = [], staged = []] = await Promise.all([session.children(paths.data), session.children(own.staged)])
  for (const name of staged) await removeStaged(session, own, name)
  for (const name of generations) {
    if (name !== generation) await sweepGeneration(session, paths, name)
  }
}

/**
 * A generation with a lease node has a head: one that was made after we looked. One under construction loses its mark first, which its restore must
 * remove to end. One with neither can never come to life again.
 */
async function sweepGeneration(session: Session, paths: StreamPaths, name: string): Promise<void> {
  const generation = generationOf(paths, name)
  await session.multi([{ do: 'remove', path: generation.building }])
  if (!(await session.exists(generation.lease))) await removeGeneration(session, generation)
}
