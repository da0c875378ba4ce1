import { ConfigError } from '../../src/core/errors.ts'
import { packEntries } from './history-log.ts'
import type { Operation } from './operations.ts'
import type { Session } from './session.ts'
import { pack } from './stored-text.ts'
import { type GenerationPaths, generationOf, type Layout, type StreamPaths } from './stream-paths.ts'
import type { StreamRecord } from './stream-record.ts'
import { StreamView } from './stream-view.ts'

const EMPTY = Buffer.alloc(0)

/** Makes a stream with nothing in it in one transaction. */
export function creationOf(
  paths: StreamPaths,
  record: StreamRecord,
): { readonly operations: readonly Operation[]; readonly view: StreamView } {
  const inside = generationOf(paths, record.generation)
  return {
    operations: [...foldersOf(inside), ...birthOf(paths, record)],
    view: new StreamView(record, 1, inside),
  }
}

/** The empty folders of a generation. */
export function foldersOf({ folder, history, blobs, staged }: GenerationPaths): Operation[] {
  return [folder, history, blobs, staged].map(path => ({ do: 'create', path, data: EMPTY }))
}

/** The head with what must be there as long as it is. Created and set at once, which makes their version 1: see `Session.multi`. */
export function birthOf(paths: StreamPaths, record: StreamRecord): Operation[] {
  const { lease, tail } = generationOf(paths, record.generation)
  const nodes = [
    { path: lease, data: EMPTY },
    { path: tail, data: packEntries([]) },
    { path: paths.head, data: pack(JSON.stringify(record)) },
  ]
  return nodes.flatMap(({ path, data }): Operation[] => [
    { do: 'create', path, data: EMPTY },
    { do: 'set', path, data },
  ])
}

/** Makes the folders above a stream that are not there: root and chroot, the store's two, and the stream's own. */
export async function ensureFolders(session: Session, layout: Layout, paths: StreamPaths): Promise<void> {
  const names = layout.streams.split('/').slice(1)
  const above = names.map((_, at) => `/${names.slice(0, at + 1).join('/')}`)
  for (const path of [...above, layout.data, paths.data]) {
    // Asked first, for an ACL may forbid making children of a node that this one is long in.
    if (await session.exists(path)) continue
    const answer = await session.multi([{ do: 'create', path, data: EMPTY }])
    if (answer.done || answer.refusal !== 'NO_NODE') continue
    if (path === above[0]) {
      throw new ConfigError(`The chroot of the ZooKeeper client that zookeeperOffsets was given does not exist. Make that node first.`)
    }
  }
}
