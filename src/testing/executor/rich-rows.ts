import type { MemoryRecord } from '../memory-log.ts'

/** A record whose bytes are read when they are asked for, as those of Kafka are: the fields behind getters are not its own. */
class LazyRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly #record: MemoryRecord

  constructor(record: MemoryRecord) {
    this.topic = record.topic
    this.partition = record.partition
    this.offset = record.offset
    this.timestamp = record.timestamp
    this.#record = record
  }

  get key(): Buffer | null {
    return this.#record.key
  }

  get value(): Buffer | null {
    return this.#record.value
  }

  get headers(): MemoryRecord['headers'] {
    return this.#record.headers
  }

  toJSON(): MemoryRecord {
    const { topic, partition, offset, timestamp, key, value, headers } = this
    return { topic, partition, offset, timestamp, key, value, headers }
  }
}

/** One row of each kind, by offset. */
const KINDS: readonly ((record: MemoryRecord) => unknown)[] = [
  record => new LazyRecord(record),
  // A view of more than it shows, as the bytes of a fetch are.
  () => Buffer.from('before the view after').subarray(11, 15),
  ({ timestamp }) => ({
    at: new Date(timestamp),
    id: 2n ** 64n,
    byName: new Map<string, unknown>([['a', new Set([1, 2])]]),
    nothing: undefined,
    none: null,
    notANumber: Number.NaN,
    nested: [{ bytes: Buffer.from([0, 255]) }, [new Uint8Array([7, 8])], 'é'],
  }),
  () => 'only text',
  record => ({ of: { the: new LazyRecord(record) } }),
]

/** What the contract's job gathers for a record of topic `rich`. */
export function richRow(record: MemoryRecord): unknown {
  return KINDS[record.offset % KINDS.length]?.(record)
}
