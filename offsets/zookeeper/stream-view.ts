import { type Batch, type PartitionOffset, partitionKey } from '../../src/core/values.ts'
import { readBlob } from './blobs.ts'
import { listChunks, readEntries, type StoredEntry, type Tail } from './history-log.ts'
import type { Session } from './session.ts'
import type { GenerationPaths } from './stream-paths.ts'
import { isBlob, type PendingBatch, type StreamRecord } from './stream-record.ts'

/** Committed positions by `partitionKey`. */
export type Positions = ReadonlyMap<string, PartitionOffset>

/** What a writer knows already and need not read. */
export type Known = {
  readonly positions?: Positions | undefined
  readonly pendingJson?: string | undefined
  readonly tail?: Tail | undefined
}

/**
 * A stream as one version of its head has it. What has nodes of its own is read when it is asked for, once; that throws `HeadMovedError` where the head
 * has moved on meanwhile.
 */
export class StreamView {
  readonly record: StreamRecord
  /** Of the head's node. */
  readonly version: number
  readonly paths: GenerationPaths
  readonly #known: Known
  #positions: Promise<Positions> | undefined
  #pending: Promise<Batch | undefined> | undefined
  #tail: Promise<Tail> | undefined

  constructor(record: StreamRecord, version: number, paths: GenerationPaths, known: Known = {}) {
    this.record = record
    this.version = version
    this.paths = paths
    this.#known = known
  }

  positions(session: Session): Promise<Positions> {
    this.#positions ??= this.#readPositions(session)
    return this.#positions
  }

  pending(session: Session): Promise<Batch | undefined> {
    this.#pending ??= this.#readPending(session)
    return this.#pending
  }

  tail(session: Session): Promise<Tail> {
    this.#tail ??= this.#readTail(session)
    return this.#tail
  }

  /** What of this is known, for the view after a write that leaves it as it is. */
  async known(): Promise<Known> {
    return { ...this.#known, positions: this.#known.positions ?? (await this.#positions), tail: this.#known.tail ?? (await this.#tail) }
  }

  /** The entries of the tail and the chunks before it, as of one moment. */
  async history(
    session: Session,
  ): Promise<{ readonly tail: readonly StoredEntry[]; readonly chunks: Awaited<ReturnType<typeof listChunks>> }> {
    // The tail first: a chunk that is made of it between the two reads is then listed, and its entries come twice rather than not at all.
    const [tail, chunks] = await Promise.all([readEntries(session, this.paths.tail), listChunks(session, this.paths)])
    return { tail, chunks }
  }

  async #readPositions(session: Session): Promise<Positions> {
    if (this.#known.positions !== undefined) return this.#known.positions
    const { offsets } = this.record
    const list: readonly PartitionOffset[] = isBlob(offsets) ? JSON.parse(await readBlob(session, this.paths, offsets)) : offsets
    return new Map(list.map(position => [partitionKey(position), position]))
  }

  async #readPending(session: Session): Promise<Batch | undefined> {
    const { pending } = this.record
    if (pending === null) return undefined
    if (!isBlob(pending)) return pending.batch
    const json = this.#known.pendingJson ?? (await readBlob(session, this.paths, pending))
    return (JSON.parse(json) as PendingBatch).batch
  }

  async #readTail(session: Session): Promise<Tail> {
    if (this.#known.tail !== undefined) return this.#known.tail
    return (await readEntries(session, this.paths.tail)).map(entry => JSON.stringify(entry))
  }
}
