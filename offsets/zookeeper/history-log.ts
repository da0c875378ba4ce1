import type { HistoryEntry } from '../../src/core/offset-store.ts'
import { isKeptForEver } from '../../src/core/store-rules.ts'
import { HeadMovedError, nodesOf, readBlob } from './blobs.ts'
import type { Operation } from './operations.ts'
import { removeAll } from './remove-all.ts'
import type { Session } from './session.ts'
import { pack, unpack } from './stored-text.ts'
import type { GenerationPaths } from './stream-paths.ts'
import type { Blob } from './stream-record.ts'

/** A chunk is made of the tail once that has so many entries, or so many characters. */
const CHUNK_ENTRIES = 256
const CHUNK_CHARACTERS = 131_072

/** A history entry in the tail or in a chunk: whole, or with what is large in a blob of its own. */
export type StoredEntry = HistoryEntry | (Pick<HistoryEntry, 'seq' | 'kind' | 'at' | 'epoch'> & { readonly body: Blob })

/** A node of older entries. `isKept` marks one in which only entries are left that are kept for ever. */
export type Chunk = { readonly name: string; readonly first: number; readonly last: number; readonly isKept: boolean }

/** Entries as JSON, oldest first: what the tail holds. */
export type Tail = readonly string[]

/** What `added` makes of the tail, and of a new chunk where it has become long. `lastSeq` is the newest entry's. */
export function appendEntries(
  paths: GenerationPaths,
  { tail, tailFrom }: { readonly tail: Tail; readonly tailFrom: number },
  added: Tail,
  lastSeq: number,
): { readonly tail: Tail; readonly tailFrom: number; readonly operations: readonly Operation[] } {
  const entries = [...tail, ...added]
  const setTail = (texts: Tail): Operation => ({ do: 'set', path: paths.tail, data: packEntries(texts) })
  if (!isChunkful(entries)) return { tail: entries, tailFrom, operations: [setTail(entries)] }
  const chunk = createChunk(paths, { first: tailFrom, last: lastSeq, isKept: false }, entries)
  return { tail: [], tailFrom: lastSeq + 1, operations: [chunk, setTail([])] }
}

/** Whether entries fill a chunk. */
export function isChunkful(entries: Tail): boolean {
  return entries.length >= CHUNK_ENTRIES || entries.reduce((sum, text) => sum + text.length, 0) >= CHUNK_CHARACTERS
}

export function createChunk(paths: GenerationPaths, chunk: Omit<Chunk, 'name'>, entries: Tail): Operation {
  return { do: 'create', path: `${paths.history}/${nameChunk(chunk)}`, data: packEntries(entries) }
}

/** The JSON of a node of entries. */
export function packEntries(entries: Tail): Buffer {
  return pack(`[${entries.join(',')}]`)
}

/** Oldest first. Throws {@link HeadMovedError} where the node is gone. */
export async function readEntries(session: Session, path: string): Promise<StoredEntry[]> {
  const node = await session.get(path)
  if (node === undefined) throw new HeadMovedError(path)
  return JSON.parse(unpack(node.data))
}

/** Newest first. */
export async function listChunks(session: Session, paths: GenerationPaths): Promise<Chunk[]> {
  const names = await session.children(paths.history)
  if (names === undefined) throw new HeadMovedError(paths.history)
  return names.map(parseChunkName).sort((a, b) => b.first - a.first)
}

/** The entry with what its blob holds. */
export async function completeEntry(session: Session, paths: GenerationPaths, entry: StoredEntry): Promise<HistoryEntry> {
  if (!('body' in entry)) return entry
  const { body, ...stamp } = entry
  // What is inside may have a blob itself: a begun batch that was discarded with a very long reason.
  return completeEntry(session, paths, { ...stamp, ...JSON.parse(await readBlob(session, paths, body)) })
}

/** Whether an entry is still part of the history, its node being removed only now and then. */
export function isThere(entry: Pick<HistoryEntry, 'seq' | 'kind'>, trimmedBelow: number): boolean {
  return entry.seq >= trimmedBelow || isKeptForEver(entry)
}

/**
 * Removes the chunks that lie below `trimmedBelow` as a whole; of those with starts and resets these stay. The head hides what is trimmed from the
 * moment that says so, and all of this may be stopped at any point and done again.
 */
export async function removeTrimmed(session: Session, paths: GenerationPaths, trimmedBelow: number): Promise<void> {
  const chunks = await listChunks(session, paths)
  for (const chunk of chunks.filter(({ last, isKept }) => last < trimmedBelow && !isKept)) {
    const path = `${paths.history}/${chunk.name}`
    const entries = await readEntries(session, path)
    const kept = entries.filter(isKeptForEver).map(entry => JSON.stringify(entry))
    const gone = entries.flatMap(entry => ('body' in entry && !isKeptForEver(entry) ? nodesOf(paths, entry.body) : []))
    await removeAll(session, gone)
    const keep = kept.length === 0 ? [] : [createChunk(paths, { ...chunk, isKept: true }, kept)]
    await session.multi([{ do: 'remove', path }, ...keep])
  }
}

/** Sixteen digits, so that names sort by their entries. */
function nameChunk({ first, last, isKept }: Omit<Chunk, 'name'>): string {
  const digits = (seq: number) => String(seq).padStart(16, '0')
  return `${digits(first)}-${digits(last)}${isKept ? '-kept' : ''}`
}

function parseChunkName(name: string): Chunk {
  const [first = '', last = '', kept] = name.split('-')
  return { name, first: Number(first), last: Number(last), isKept: kept !== undefined }
}
