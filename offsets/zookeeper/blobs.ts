import type { Operation } from './operations.ts'
import type { Session } from './session.ts'
import { pack, unpack } from './stored-text.ts'
import type { GenerationPaths } from './stream-paths.ts'
import type { Blob } from './stream-record.ts'

/** Texts up to here lie in the head or in a history chunk. */
export const INLINE_CHARACTERS = 32_768

/** The most that one node holds, and so the most that goes into a `multi` for one value. */
export const PART_BYTES = 262_144

const EMPTY = Buffer.alloc(0)

/** Says that a node that a head pointed to is gone, for the head points elsewhere by now: it is to be read again. */
export class HeadMovedError extends Error {
  readonly path: string

  constructor(path: string) {
    super(`${path} is gone`)
    this.path = path
  }
}

/** A value on its way into nodes of its own. */
export type NewBlob = {
  readonly ref: Blob
  /** For the transaction that points to it. */
  readonly operations: readonly Operation[]
}

/**
 * Prepares `json` for a node of its own. Above {@link PART_BYTES} it is written at once, as parts in a folder of its own under a mark in `staged`, and
 * the transaction that points to it removes the mark.
 *
 * The sequence that the mark prevents: a driver writes the parts and stops for a while; another takes over and clears away what nothing points to;
 * the first wakes up and points a head at parts that are gone. Whoever removes the mark first decides, and the other's transaction fails.
 */
export async function prepareBlob(session: Session, paths: GenerationPaths, name: string, json: string): Promise<NewBlob> {
  const { ref, operations } = partsOf(paths, name, json)
  const [folder, ...slices] = operations
  if (folder === undefined || ref.parts === 1) return { ref, operations }

  const path = `${paths.staged}/${name}`
  const mark: Operation = { do: 'create', path, data: EMPTY }
  const writes: Operation[][] = [[mark, folder], ...slices.map((slice): Operation[] => [{ do: 'check', path }, slice])]
  for (const answer of await Promise.all(writes.map(operations => session.multi(operations)))) {
    if (!answer.done) throw new HeadMovedError(answer.path)
  }
  return { ref, operations: [{ do: 'remove', path }] }
}

/** The nodes of a blob, in the order in which they can be made: itself, or a folder and its parts. */
export function partsOf(paths: GenerationPaths, name: string, json: string): NewBlob {
  const data = pack(json)
  const parts = Math.ceil(data.length / PART_BYTES)
  const path = `${paths.blobs}/${name}`
  const ref = { blob: name, parts }
  if (parts === 1) return { ref, operations: [{ do: 'create', path, data }] }
  const slices = Array.from({ length: parts }, (_, part): Operation => {
    return { do: 'create', path: `${path}/${part}`, data: data.subarray(part * PART_BYTES, (part + 1) * PART_BYTES) }
  })
  return { ref, operations: [{ do: 'create', path, data: EMPTY }, ...slices] }
}

/** Throws {@link HeadMovedError} where it is gone. */
export async function readBlob(session: Session, paths: GenerationPaths, ref: Blob): Promise<string> {
  const nodes = await Promise.all(
    partPaths(paths, ref).map(async path => {
      const node = await session.get(path)
      if (node === undefined) throw new HeadMovedError(path)
      return node.data
    }),
  )
  return unpack(Buffer.concat(nodes))
}

/** The nodes of a blob, in the order in which they can be removed. */
export function nodesOf(paths: GenerationPaths, ref: Blob): string[] {
  const nodes = partPaths(paths, ref)
  if (ref.parts > 1) nodes.push(`${paths.blobs}/${ref.blob}`)
  return nodes
}

/** Removes a blob that was staged and never pointed to. Leaves it where a transaction has come to point to it meanwhile. */
export async function removeStaged(session: Session, paths: GenerationPaths, name: string): Promise<void> {
  const path = `${paths.blobs}/${name}`
  for (;;) {
    const parts = (await session.children(path)) ?? []
    const removals = [`${paths.staged}/${name}`, ...parts.map(part => `${path}/${part}`), path]
    const answer = await session.multi(removals.map(removed => ({ do: 'remove', path: removed })))
    // A part that came in between keeps the folder; anything else means that the mark was taken by somebody else.
    if (answer.done || answer.refusal !== 'NOT_EMPTY') return
  }
}

function partPaths(paths: GenerationPaths, { blob, parts }: Blob): string[] {
  const path = `${paths.blobs}/${blob}`
  return parts === 1 ? [path] : Array.from({ length: parts }, (_, part) => `${path}/${part}`)
}
