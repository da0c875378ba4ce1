import type { Session } from './session.ts'
import type { GenerationPaths } from './stream-paths.ts'

const AT_A_TIME = 200

/** Removes nodes in their order, each on its own; those that are gone already are no failure. */
export async function removeAll(session: Session, paths: readonly string[]): Promise<void> {
  for (let at = 0; at < paths.length; at += AT_A_TIME) {
    await Promise.all(paths.slice(at, at + AT_A_TIME).map(path => session.multi([{ do: 'remove', path }])))
  }
}

/** Removes a generation that no head has or will ever have. May be stopped at any point and done again. */
export async function removeGeneration(session: Session, { folder, staged, history, blobs, tail }: GenerationPaths): Promise<void> {
  for (const leaves of [staged, history]) await removeAll(session, [...(await pathsIn(session, leaves)), leaves])
  const nodes = await pathsIn(session, blobs)
  for (let at = 0; at < nodes.length; at += AT_A_TIME) {
    const some = nodes.slice(at, at + AT_A_TIME)
    const parts = await Promise.all(some.map(node => pathsIn(session, node)))
    await removeAll(session, [...parts.flat(), ...some])
  }
  await removeAll(session, [blobs, tail, folder])
}

async function pathsIn(session: Session, folder: string): Promise<string[]> {
  const names = (await session.children(folder)) ?? []
  return names.map(name => `${folder}/${name}`)
}
