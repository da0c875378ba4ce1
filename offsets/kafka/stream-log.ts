import type { Clock } from '../../src/core/clock.ts'
import { isRetryable, isTidemarkError } from '../../src/core/errors.ts'
import type { HistoryEntry } from '../../src/core/offset-store.ts'
import type { Random } from '../../src/core/random.ts'
import type { CallOptions } from '../../src/core/source.ts'
import type { Batch, PartitionOffset } from '../../src/core/values.ts'
import { Slots } from '../../src/util/slots.ts'
import { awaitMarkers } from './await-markers.ts'
import type { GroupMirror } from './group-mirror.ts'
import { readEntries } from './history-reader.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { isSessionOver } from './kafka-error.ts'
import type { KafkajsCluster, KafkajsMessage } from './kafkajs-cluster.ts'
import type { OffsetsTopic } from './offsets-topic.ts'
import { readPartition } from './partition-reader.ts'
import { brokerNow, ProducerSession } from './producer-session.ts'
import { partitionOf, transactionalIdOf } from './stream-names.ts'
import {
  type EntryValue,
  encodeHead,
  encodeKey,
  encodeValue,
  FORMAT,
  type HeadValue,
  packOffsets,
  type StreamKey,
} from './stream-records.ts'
import { type PlacedEntry, StreamView } from './stream-view.ts'

/** What a call writes: the stream's next head, and what else changes. */
export type Change = {
  readonly head: Omit<HeadValue, 'v' | 'write'>
  /** All committed positions, where they change, and which of them moved. */
  readonly positions?: ReadonlyMap<string, PartitionOffset>
  readonly moved?: readonly PartitionOffset[]
  readonly pending?: Batch
  readonly entries?: readonly { readonly seq: number; readonly kind: HistoryEntry['kind']; readonly value: EntryValue }[]
  /** Records that go. */
  readonly gone?: readonly StreamKey[]
}

/**
 * What a call does about the stream as it is: a change, or nothing where there is none to make. Throws the refusal. It may be asked several times, and
 * only the last answer counts. `nowMs` asks for the broker's time.
 */
export type Decide = (view: StreamView, nowMs: () => Promise<number>) => Change | undefined | Promise<Change | undefined>

/** What all streams of a store share. */
export type StoreParts = {
  readonly connection: KafkaConnection
  readonly topic: OffsetsTopic
  readonly mirror: GroupMirror | undefined
  readonly clock: Clock
  readonly random: Random
}

/** For how long a call whose outcome is unknown is sent again by itself, ms. */
const OUTAGE_MS = 5_000
/** For how long clients that all want to write may fence one another, ms. */
const CONTENTION_MS = 60_000
const LONGEST_WAIT_MS = 1_000
/** A view that was not read for so long begins anew: compaction may have taken away what it waits for. */
const VIEW_LIVES_MS = 3_600_000

/**
 * One stream in the log: its view, and the producer session of this client where it has one. Calls go one after another.
 *
 * A write is a compare-and-set. Its session was initialised, *then* everything up to the high watermark was read, then the rules decided, and the
 * transaction goes through only if nobody has initialised the id since. Without that order: A initialises, B initialises and commits batch 7, A reads
 * up to a watermark from before, decides that batch 7 is still begun, and writes; had B not fenced it, the offsets would go back.
 */
export class StreamLog {
  readonly #parts: StoreParts
  readonly #view: StreamView
  readonly #partition: number
  readonly #transactionalId: string
  readonly #turns = new Slots(1)
  #session: ProducerSession | undefined
  #readAtMs = 0

  constructor(stream: string, parts: StoreParts) {
    this.#parts = parts
    this.#view = new StreamView(stream)
    this.#partition = partitionOf(stream)
    this.#transactionalId = transactionalIdOf(parts.connection.topic, stream)
  }

  /** Looks at the stream as it is now. */
  read<T>(look: (view: StreamView) => T, { signal }: CallOptions = {}): Promise<T> {
    return this.#turns.use(() =>
      this.#persist(signal, async cluster => {
        if (await this.#parts.topic.isReady(cluster)) await this.#refresh(cluster)
        return look(this.#view)
      }),
    )
  }

  /** Entries of the history that lie close together, as a view has placed them. */
  entries(page: readonly PlacedEntry[], { signal }: CallOptions = {}): Promise<HistoryEntry[]> {
    const place = { stream: this.#view.stream, partition: this.#partition }
    return this.#persist(signal, cluster => readEntries(this.#parts.connection, cluster, place, page))
  }

  /** Writes what is decided, once, whatever happens to the answers. `anew` fences every session before, this client's too. */
  write(decide: Decide, { signal, anew = false }: CallOptions & { readonly anew?: boolean } = {}): Promise<void> {
    const write = this.#parts.random.id()
    return this.#turns.use(() => {
      if (anew) this.#session = undefined
      return this.#persist(signal, cluster => this.#tryWrite(cluster, decide, write))
    })
  }

  /**
   * Repeats what failed in a way that a repetition may mend. After a failure the session is in doubt: the next attempt looks who writes to the stream,
   * initialises, reads, finds its own write there or not, and only then writes again.
   */
  async #persist<T>(signal: AbortSignal | undefined, attempt: (cluster: KafkajsCluster) => Promise<T>): Promise<T> {
    const { connection, clock, random } = this.#parts
    const startedAt = clock.monotonic()
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted()
      let isContended = false
      try {
        return await connection.run(attempt)
      } catch (error) {
        this.#session = undefined
        if (!isRetryable(error) || (tries === 1 && isUnreachable(error))) throw error
        isContended = isSessionOver(error)
        if (clock.monotonic() - startedAt > (isContended ? CONTENTION_MS : OUTAGE_MS)) throw error
      }
      // By chance, or two clients that fence each other go on doing so in step.
      await clock.sleep(random.number() * Math.min(LONGEST_WAIT_MS, (isContended ? 5 : 50) * 2 ** tries), signal)
    }
  }

  async #tryWrite(cluster: KafkajsCluster, decide: Decide, write: string): Promise<void> {
    if (this.#session === undefined) {
      if (!(await this.#openSession(cluster, decide, write))) return
      const change = await this.#decide(cluster, decide)
      return change && this.#commit(cluster, change, write)
    }
    // By what is in memory: where it says yes and is wrong, this session is fenced and the transaction fails. A no is looked after.
    const change = await this.#decideInMemory(cluster, decide)
    if (change !== undefined) return this.#commit(cluster, change, write)
    await this.#refresh(cluster)
    const looked = await this.#decide(cluster, decide)
    return looked && this.#commit(cluster, looked, write)
  }

  /** Whether there is something left to write, and with it a session and a view as of then. */
  async #openSession(cluster: KafkajsCluster, decide: Decide, write: string): Promise<boolean> {
    const { connection, topic, clock } = this.#parts
    const isThere = await topic.isReady(cluster)
    if (isThere) await this.#refresh(cluster)
    if (this.#view.newestWrite === write) return false
    // Who is refused anyway must not end the session of the one who may write.
    if ((await this.#decide(cluster, decide)) === undefined) return false
    if (!isThere) {
      await topic.make(cluster)
      await topic.isReady(cluster)
    }
    const ids = { partition: this.#partition, transactionalId: this.#transactionalId }
    this.#session = await ProducerSession.open(connection, cluster, { clock, ...ids })
    await this.#refresh(cluster)
    return this.#view.newestWrite !== write
  }

  async #decideInMemory(cluster: KafkajsCluster, decide: Decide): Promise<Change | undefined> {
    try {
      return await this.#decide(cluster, decide)
    } catch (error) {
      if (isTidemarkError(error) && !error.retryable) return undefined
      throw error
    }
  }

  async #decide(cluster: KafkajsCluster, decide: Decide): Promise<Change | undefined> {
    return decide(this.#view, () => brokerNow(this.#parts.connection, cluster, this.#partition))
  }

  async #commit(cluster: KafkajsCluster, change: Change, write: string): Promise<void> {
    const messages = messagesOf(this.#view.stream, change, write)
    const { mirror } = this.#parts
    const records = await this.#session?.commit(cluster, { messages, moved: change.moved ?? [] }, mirror)
    this.#view.onWritten(records ?? [], change.positions)
    this.#readAtMs = this.#parts.clock.monotonic()
  }

  /** Reads on to the high watermark, and further where a write is committed whose marker is still on the way. */
  async #refresh(cluster: KafkajsCluster): Promise<void> {
    const { connection, clock } = this.#parts
    const view = this.#view
    if (clock.monotonic() - this.#readAtMs > VIEW_LIVES_MS) view.onRestart()
    const readOn = async () => {
      view.position = await readPartition(connection, cluster, this.#partition, view.position, view)
      this.#readAtMs = clock.monotonic()
    }
    await readOn()
    await awaitMarkers(connection, cluster, clock, { open: () => view.openWrites, streamOf: () => view.stream, readOn })
  }
}

function isUnreachable(error: unknown): boolean {
  return isTidemarkError(error) && error.details.isUnreachable === true
}

/** The head comes last, but a transaction is all or nothing and so the order tells nobody anything. */
function messagesOf(stream: string, change: Change, write: string): KafkajsMessage[] {
  const { head, positions, pending, entries = [], gone = [] } = change
  const { streamId } = head
  return [
    ...gone.map(key => ({ key: encodeKey(key), value: null })),
    ...entries.flatMap(({ seq, kind, value }) => encodeValue(value, part => [stream, 'entry', streamId, seq, kind, part])),
    ...(positions === undefined ? [] : encodeValue(packOffsets(positions.values()), part => [stream, 'offsets', streamId, part])),
    ...(pending === undefined ? [] : encodeValue(pending, part => [stream, 'pending', streamId, part])),
    encodeHead(stream, { v: FORMAT, ...head, write }),
  ]
}
