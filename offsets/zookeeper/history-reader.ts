import type { HistoryEntry } from '../../src/core/offset-store.ts'
import { HeadMovedError } from './blobs.ts'
import { completeEntry, isThere, readEntries, type StoredEntry } from './history-log.ts'
import { MissingNodes } from './missing-nodes.ts'
import type { Session } from './session.ts'
import type { StreamNode } from './stream-node.ts'
import type { StreamView } from './stream-view.ts'

/** Entries may have large blobs each. */
const PAGE = 16

/** Nodes that are asked for at a time. */
const AT_A_TIME = 16

type Listing = Awaited<ReturnType<StreamView['history']>> & { readonly view: StreamView }

/** Reads a stream's history, newest first or as a whole, while others may go on writing it. */
export class HistoryReader {
  readonly #node: StreamNode
  readonly #view: StreamView | undefined
  readonly #missing = new MissingNodes()
  #listing: Listing | undefined
  #chunk: { readonly name: string; readonly entries: readonly StoredEntry[] } | undefined

  /** @param view - the version to read, for {@link HistoryReader.all} */
  constructor(node: StreamNode, view?: StreamView) {
    this.#node = node
    this.#view = view
  }

  /** The next few entries below `before`, newest first, at most `limit`; undefined at the end. */
  async next(session: Session, from: { readonly before: number; readonly limit: number }): Promise<HistoryEntry[] | undefined> {
    for (;;) {
      const listing = this.#listing ?? (await this.#list(session))
      if (listing === undefined) return undefined
      this.#listing = listing
      try {
        return await this.#page(session, listing, from)
      } catch (error) {
        // A chunk goes when the history is trimmed; the entries that are kept for ever are in another one then.
        if (!(error instanceof HeadMovedError)) throw error
        this.#missing.tell(listing.view, error.path)
        this.#listing = undefined
      }
    }
  }

  /** Everything that belongs to the version of the view, oldest first. Throws `HeadMovedError` where some of it is gone. */
  async all(session: Session): Promise<HistoryEntry[]> {
    const view = this.#view
    if (view === undefined) return []
    const { tail, chunks } = await view.history(session)
    const { lastSeq, trimmedBelow } = view.record
    const stored = new Map<number, StoredEntry>()
    const add = (entries: readonly StoredEntry[]) => {
      for (const entry of entries) if (entry.seq <= lastSeq && isThere(entry, trimmedBelow)) stored.set(entry.seq, entry)
    }
    for (let at = 0; at < chunks.length; at += AT_A_TIME) {
      const some = chunks.slice(at, at + AT_A_TIME)
      for (const entries of await Promise.all(some.map(({ name }) => readEntries(session, `${view.paths.history}/${name}`)))) add(entries)
    }
    add(tail)
    const sorted = [...stored.values()].sort((a, b) => a.seq - b.seq)
    const complete: HistoryEntry[] = []
    for (let at = 0; at < sorted.length; at += AT_A_TIME) {
      complete.push(...(await Promise.all(sorted.slice(at, at + AT_A_TIME).map(entry => completeEntry(session, view.paths, entry)))))
    }
    return complete
  }

  async #list(session: Session): Promise<Listing | undefined> {
    const view = await this.#node.read(session)
    return view && { view, ...(await view.history(session)) }
  }

  async #page(
    session: Session,
    { view, tail, chunks }: Listing,
    { before, limit }: { readonly before: number; readonly limit: number },
  ): Promise<HistoryEntry[] | undefined> {
    const below = (entries: readonly StoredEntry[]) =>
      entries.filter(entry => entry.seq < before && isThere(entry, view.record.trimmedBelow)).reverse()
    const complete = (entries: readonly StoredEntry[]) =>
      Promise.all(entries.slice(0, Math.min(limit, PAGE)).map(entry => completeEntry(session, view.paths, entry)))

    const newest = below(tail)
    if (newest.length > 0) return complete(newest)
    for (const { name, first } of chunks) {
      if (first >= before) continue
      if (this.#chunk?.name !== name) this.#chunk = { name, entries: await readEntries(session, `${view.paths.history}/${name}`) }
      const entries = below(this.#chunk.entries)
      if (entries.length > 0) return complete(entries)
    }
    return undefined
  }
}
