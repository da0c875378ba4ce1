import type { Clock } from '../../src/core/clock.ts'
import { ConfigError, ConnectionError } from '../../src/core/errors.ts'
import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { Random } from '../../src/core/random.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { type Batch, type PartitionOffset, partitionKey, type TopicPartition } from '../../src/core/values.ts'
import { streamKeys } from './keys.ts'
import type { RedisConnection } from './redis-connection.ts'
import { PAGE, PREPARE, READ, STAGE, WRITE } from './scripts.ts'
import { adoptStaged, putHead, type Step } from './steps.ts'
import { nextVersion, readHead, type StoredHead } from './stored-head.ts'
import { readCommitted, readOffsets, writeEntries } from './stored-values.ts'
import { StreamIndex } from './stream-index.ts'

/** What {@link WRITE} says. */
const MOVED = 0
const NOT_STAGED = 2

/** The longest wait after a write lost to another one; it begins at a fraction of it and is drawn at random. */
const LOST_WAIT_MS = 32
const PAGE_BYTES = 4 << 20
const PAGE_ENTRIES = { first: 16, most: 500 }
const STAGE_BYTES = 1 << 20
const STAGED_FOR_SECONDS = 3_600

/** What a decision is made on, all of one moment. `nowMs` is the server's clock. */
export type Stored = {
  readonly nowMs: number
  readonly head: StoredHead | undefined
  readonly pending: Batch | undefined
  /** Committed offsets of the partitions that were asked for, by `partitionKey`. */
  readonly committed: ReadonlyMap<string, number>
}

/** What a write comes to; without steps there is nothing to write. A head that is undefined goes. */
export type Decision<T> =
  | { readonly result: T; readonly steps?: undefined }
  | {
      readonly result: T
      readonly head: StoredHead | undefined
      readonly steps: readonly Step[]
      /** The batch that is pending after this, in a copy that nobody changes. */
      readonly begun?: Batch
    }

export type Write<T> = {
  /** Whether to load the begun batch. */
  readonly pending?: boolean
  /** The partitions whose offsets to load. */
  readonly offsetsOf?: readonly TopicPartition[]
  /** May be called several times, each on what is stored then. Throws where the rules refuse. */
  readonly decide: (stored: Stored) => Decision<T>
  /** Whether a write of ours, whose answer was lost, is in. @default its id is the last one's */
  readonly isDone?: (head: StoredHead | undefined) => boolean
  readonly isRenewal?: boolean
  /** What is probably stored, to decide on first without reading: nothing is written unless it is, and nothing refused. */
  readonly guess?: Stored | undefined
  readonly staged?: Staged
}

/** A history that was laid down and does not count yet. */
export type Staged = { readonly id: string; readonly history: number; readonly marks: number }

/** The streams of one prefix: values in, values out, and the loop that makes a decision and its write one step. */
export class RedisStreams {
  readonly index: StreamIndex
  readonly #connection: RedisConnection
  readonly #prefix: string
  readonly #clock: Clock
  readonly #random: Random
  /** What this client's last `begin` left of each stream, as long as nobody else is known to have written. */
  readonly #begun = new Map<string, { readonly head: StoredHead; readonly pending: Batch }>()

  constructor(connection: RedisConnection, prefix: string, seams: { readonly clock: Clock; readonly random: Random }) {
    this.index = new StreamIndex(connection, prefix)
    this.#connection = connection
    this.#prefix = prefix
    this.#clock = seams.clock
    this.#random = seams.random
  }

  /**
   * Reads, decides, and writes if nothing was written since; else all over again, until the rules refuse or the write is in. One of those that collide
   * always gets in.
   *
   * The sequence that the id prevents: a reset is applied and its answer lost; it is sent again, finds another version and decides again; the stream is
   * reset twice, and its history says so for ever.
   */
  async write<T>(stream: string, options: CallOptions, write: Write<T>): Promise<T> {
    const id = this.#random.id()
    const isDone = write.isDone ?? ((head: StoredHead | undefined) => head?.lastWrite === id)
    let sent: Decision<T> | undefined
    let claimed: string | undefined
    for (let lost = 0; ; lost++) {
      const guess = lost === 0 ? write.guess : undefined
      const stored = guess ?? (await this.#load(stream, write, options))
      if (sent !== undefined && isDone(stored.head)) return sent.result
      if (claimed !== undefined && claimed !== stored.head?.birth) await this.index.remove(stream, claimed, options)

      const decided = guess === undefined ? write.decide(stored) : decideOrReadFirst(write, guess)
      if (decided === undefined) continue
      if (decided.steps === undefined) return decided.result
      if (stored.head === undefined && decided.head !== undefined) {
        claimed = decided.head.birth
        await this.index.add(stream, claimed, options)
      }
      sent = decided
      const next = decided.head && {
        ...decided.head,
        version: nextVersion(decided.head.version, id),
        lastWrite: write.isRenewal ? decided.head.lastWrite : id,
      }
      if (await this.#apply(stream, stored.head?.version, next, decided.steps, write.staged, options)) {
        this.#remember(stream, stored.head, next, decided.begun, write.isRenewal)
        return decided.result
      }
      if (guess === undefined) await this.#clock.sleep(this.#random.number() * Math.min(LOST_WAIT_MS, 2 ** lost), options.signal)
    }
  }

  /**
   * What a commit can be decided on without reading ten thousand ranges back: this client's own `begin`, and its renewals since. That nobody has written
   * in between is not believed but asked, by the version.
   */
  begunBefore(stream: string): Stored | undefined {
    const begun = this.#begun.get(stream)
    return begun && { ...begun, nowMs: 0, committed: new Map() }
  }

  /** All of a stream but its history, of one moment. */
  async readWhole(
    stream: string,
    options: CallOptions,
  ): Promise<{ head: StoredHead | undefined; pending: Batch | undefined; offsets: PartitionOffset[] }> {
    const { head, pending, offsets } = await this.#read(stream, ['pending', 'all'], options)
    return { head, pending, offsets: readOffsets(offsets) }
  }

  /** Pages of the history, newest first, each with the birth of the stream that it is of. */
  async *pages(
    stream: string,
    { before, limit }: { before: number; limit: number },
    options: CallOptions,
  ): AsyncGenerator<{ readonly birth: unknown; readonly entries: readonly HistoryEntry[] }> {
    const { head, history, marks } = streamKeys(this.#prefix, stream)
    let [next, left, size] = [before, limit, PAGE_ENTRIES.first]
    while (left > 0) {
      const asked = Math.min(left, size)
      const page = (await this.#connection.run(PAGE, [head, history, marks], [String(next), String(asked)], options)) as string[]
      const [birth, ...texts] = page
      // The newest of both sets together: the rest of either comes with the next page.
      const entries = texts
        .map((text): HistoryEntry => JSON.parse(text))
        .sort((a, b) => b.seq - a.seq)
        .slice(0, asked)
      yield { birth, entries }
      if (texts.length < asked) return
      left -= entries.length
      next = entries.at(-1)?.seq ?? 0
      // Entries of ten thousand partitions are a megabyte each, those of one a hundred bytes.
      const bytes = texts.reduce((sum, text) => sum + text.length, 0) / texts.length
      size = Math.max(1, Math.min(PAGE_ENTRIES.most, Math.floor(PAGE_BYTES / bytes)))
    }
  }

  /** Refuses a user whose rights end in the middle of a write, and keys of somebody else, before a stream is first written. */
  async prepare(stream: string, options: CallOptions): Promise<void> {
    const { head, offsets, pending, history, marks, trial } = streamKeys(this.#prefix, stream)
    const wrong = await this.#connection.run(PREPARE, [head, offsets, pending, history, marks, trial], [], options)
    if (wrong === null) return
    throw new ConfigError(`Redis holds something of another application under ${String(wrong)}. Choose another prefix for redisOffsets.`, {
      details: { stream, key: wrong },
    })
  }

  /** Lays a history down in pieces that no server chokes on. It counts only when a write adopts it, and goes by itself if none does. */
  async stage(stream: string, id: string, entries: readonly HistoryEntry[], options: CallOptions): Promise<Staged> {
    const keys = streamKeys(this.#prefix, stream)
    const written = writeEntries(entries)
    for (const part of ['history', 'marks'] as const) {
      for (const piece of inPieces(written[part])) {
        await this.#connection.run(STAGE, [keys.staged(part, id)], [String(STAGED_FOR_SECONDS), ...piece], options)
      }
    }
    return { id, history: written.history.length / 2, marks: written.marks.length / 2 }
  }

  async #load(stream: string, { pending = false, offsetsOf = [] }: Write<unknown>, options: CallOptions): Promise<Stored> {
    // What is no text names no partition, as the rules will say; Redis' JSON knows none of it.
    const fields = [...new Set(offsetsOf.map(partitionKey))].filter(field => field.isWellFormed())
    const { offsets, ...stored } = await this.#read(stream, [pending ? 'pending' : '', JSON.stringify(fields)], options)
    return { ...stored, committed: readCommitted(fields, offsets) }
  }

  async #read(stream: string, what: readonly string[], options: CallOptions) {
    const keys = streamKeys(this.#prefix, stream)
    const answer = await this.#connection.run(READ, [keys.head, keys.offsets, keys.pending], what, options)
    const [seconds, microseconds, head, pending, offsets] = answer as [string, string, string[] | null, string | null, string]
    return {
      nowMs: Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000),
      head: head === null ? undefined : readHead(head, keys.head),
      pending: pending === null ? undefined : (JSON.parse(pending) as Batch),
      offsets,
    }
  }

  async #apply(
    stream: string,
    version: string | undefined,
    head: StoredHead | undefined,
    steps: readonly Step[],
    staged: Staged | undefined,
    options: CallOptions,
  ): Promise<boolean> {
    const keys = streamKeys(this.#prefix, stream)
    const names = [keys.head, keys.offsets, keys.pending, keys.history, keys.marks]
    if (staged !== undefined) names.push(keys.staged('history', staged.id), keys.staged('marks', staged.id))
    const all = [staged ? adoptStaged(staged) : [], head ? putHead(head) : [], ...steps]
    const answer = Number(await this.#connection.run(WRITE, names, [version ?? '', ...all.flat()], options))
    if (answer === NOT_STAGED) {
      throw new ConnectionError(`Restore of ${stream}: Redis has lost a part of what it was sent, so nothing was restored. Try again.`, {
        details: { stream },
      })
    }
    return answer !== MOVED
  }

  #remember(
    stream: string,
    before: StoredHead | undefined,
    now: StoredHead | undefined,
    batch: Batch | undefined,
    isRenewal = false,
  ): void {
    const begun = this.#begun.get(stream)
    if (now !== undefined && batch !== undefined) {
      this.#begun.set(stream, { head: now, pending: batch })
    } else if (isRenewal && now !== undefined && begun?.head.version === before?.version && begun !== undefined) {
      this.#begun.set(stream, { ...begun, head: now })
    } else this.#begun.delete(stream)
  }
}

/** A refusal is worth only what it was decided on: a guess must not be the ground of one. */
function decideOrReadFirst<T>(write: Write<T>, guess: Stored): Decision<T> | undefined {
  try {
    const decided = write.decide(guess)
    return decided.steps === undefined ? undefined : decided
  } catch {
    return undefined
  }
}

/** Scores and members in pieces of about a megabyte. */
function* inPieces(pairs: readonly string[]): Generator<string[]> {
  let [piece, bytes]: [string[], number] = [[], 0]
  for (let at = 0; at < pairs.length; at += 2) {
    piece.push(...pairs.slice(at, at + 2))
    bytes += pairs[at + 1]?.length ?? 0
    if (bytes < STAGE_BYTES) continue
    yield piece
    piece = []
    bytes = 0
  }
  if (piece.length > 0) yield piece
}
