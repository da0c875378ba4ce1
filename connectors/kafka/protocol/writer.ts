import { UnsupportedError } from '../../../src/core/errors.ts'

const FIRST_BYTES = 256
const TOPIC_ID_BYTES = 16
const TWO_32 = 2 ** 32

/** Writes a request's bytes, big-endian, growing as needed. In a flexible version strings and arrays are compact and tags are written. */
export class Writer {
  readonly #isFlexible: boolean
  #bytes = Buffer.allocUnsafe(FIRST_BYTES)
  #at = 0

  constructor(isFlexible: boolean) {
    this.#isFlexible = isFlexible
  }

  /** What was written so far. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#at)
  }

  int8(value: number): this {
    this.#at = this.#room(1).writeInt8(value, this.#at)
    return this
  }

  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0)
  }

  int16(value: number): this {
    this.#at = this.#room(2).writeInt16BE(value, this.#at)
    return this
  }

  int32(value: number): this {
    this.#at = this.#room(4).writeInt32BE(value, this.#at)
    return this
  }

  /** Throws `UnsupportedError` for a number that is no safe integer, rather than writing a rounded one. */
  int64(value: number): this {
    if (!Number.isSafeInteger(value)) {
      throw new UnsupportedError(`${value} cannot be sent to Kafka: offsets and timestamps are integers up to 2^53 - 1 here.`, {
        details: { value },
      })
    }
    const bytes = this.#room(8)
    bytes.writeInt32BE(Math.floor(value / TWO_32), this.#at)
    this.#at = bytes.writeUInt32BE(value >>> 0, this.#at + 4)
    return this
  }

  uvarint(value: number): this {
    const bytes = this.#room(5)
    let left = value
    for (; left > 127; left >>>= 7) bytes[this.#at++] = (left & 127) | 128
    bytes[this.#at++] = left
    return this
  }

  string(value: string): this {
    return this.nullableString(value)
  }

  nullableString(value: string | null): this {
    const length = value === null ? -1 : Buffer.byteLength(value)
    if (this.#isFlexible) this.uvarint(length + 1)
    else this.int16(length)
    if (value !== null) this.#at += this.#room(length).write(value, this.#at, 'utf8')
    return this
  }

  /** A topic's id, as the textual UUID that Kafka shows (KIP-516). */
  topicId(value: string): this {
    const id = Buffer.from(value, 'base64url')
    if (id.length !== TOPIC_ID_BYTES) {
      throw new UnsupportedError(`"${value}" is no topic id: Kafka writes one as 22 letters, digits, "-" and "_".`, {
        details: { topicId: value },
      })
    }
    this.#room(TOPIC_ID_BYTES).set(id, this.#at)
    this.#at += TOPIC_ID_BYTES
    return this
  }

  /** Writes the number of items, then each by `write`. Null is another thing than none: for topics it often means all. */
  array<T>(items: readonly T[] | null, write: (item: T) => void): this {
    const length = items === null ? -1 : items.length
    if (this.#isFlexible) this.uvarint(length + 1)
    else this.int32(length)
    items?.forEach(write)
    return this
  }

  /** An empty list of tagged fields; nothing in a version that has none. */
  tags(): this {
    return this.#isFlexible ? this.uvarint(0) : this
  }

  #room(bytes: number): Buffer {
    if (this.#at + bytes > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
      this.#bytes.copy(larger, 0, 0, this.#at)
      this.#bytes = larger
    }
    return this.#bytes
  }
}
