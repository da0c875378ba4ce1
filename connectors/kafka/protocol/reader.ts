import { DecodeError } from '../../../src/core/errors.ts'

const TOPIC_ID_BYTES = 16
const TWO_32 = 2 ** 32

/**
 * Reads a response's bytes. Nothing is read past their end and no length is believed before the bytes are there, so a broken response is a
 * `DecodeError` with the API and the position. In a flexible version strings and arrays are compact and tags are read.
 */
export class Reader {
  readonly #bytes: Buffer
  readonly #isFlexible: boolean
  readonly #what: string
  #at = 0

  /** `what` names the response in errors: `Fetch v13 response`. */
  constructor(bytes: Buffer, isFlexible: boolean, what: string) {
    this.#bytes = bytes
    this.#isFlexible = isFlexible
    this.#what = what
  }

  int8(): number {
    return this.#bytes.readInt8(this.#take(1))
  }

  boolean(): boolean {
    return this.int8() !== 0
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#take(2))
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#take(4))
  }

  /** An offset: an integer that a number holds exactly, or a `DecodeError`. */
  int64(): number {
    const at = this.#at
    const value = this.timestamp()
    if (!Number.isSafeInteger(value)) throw this.#broken(at, `${this.#bytes.readBigInt64BE(at)} is beyond 2^53 - 1 and would be rounded`)
    return value
  }

  /** Milliseconds, where a producer may have written anything: beyond 2^53 the nearest number. */
  timestamp(): number {
    const at = this.#take(8)
    return this.#bytes.readInt32BE(at) * TWO_32 + this.#bytes.readUInt32BE(at + 4)
  }

  /** An id of 64 bits: a number where it is safe. */
  id64(): number | bigint {
    const at = this.#at
    const value = this.timestamp()
    return Number.isSafeInteger(value) ? value : this.#bytes.readBigInt64BE(at)
  }

  uvarint(): number {
    const at = this.#at
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.#take(1)] ?? 0
      value += (byte & 127) * 2 ** shift
      if (byte < 128) return value
    }
    throw this.#broken(at, 'a varint does not end')
  }

  string(): string {
    const at = this.#at
    const value = this.nullableString()
    if (value === null) throw this.#broken(at, 'a string is null that may not be')
    return value
  }

  nullableString(): string | null {
    const length = this.#isFlexible ? this.uvarint() - 1 : this.int16()
    if (length < 0) return null
    const at = this.#take(length)
    return this.#bytes.toString('utf8', at, at + length)
  }

  /** A topic's id as the textual UUID that Kafka shows (KIP-516). */
  topicId(): string {
    const at = this.#take(TOPIC_ID_BYTES)
    return this.#bytes.toString('base64url', at, at + TOPIC_ID_BYTES)
  }

  /** Bytes as a view, without a copy; empty where they are null. */
  bytes(): Buffer {
    const length = this.#isFlexible ? this.uvarint() - 1 : this.int32()
    if (length <= 0) return EMPTY
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Reads the number of items, then each by `read`; a null array is empty. */
  array<T>(read: () => T): T[] {
    return this.nullableArray(read) ?? []
  }

  nullableArray<T>(read: () => T): T[] | null {
    const at = this.#at
    const length = this.#isFlexible ? this.uvarint() - 1 : this.int32()
    if (length < 0) return null
    // Every item takes a byte at least, so a length that cannot be never makes a large array.
    if (length > this.#bytes.length - this.#at) throw this.#broken(at, `an array of ${length} items does not fit in it`)
    const items: T[] = []
    for (let i = 0; i < length; i++) items.push(read())
    return items
  }

  /** Reads tagged fields; `read` reads the ones it knows and ignores the rest. Nothing in a version that has none. */
  tags(read?: (tag: number) => void): void {
    if (!this.#isFlexible) return
    const count = this.uvarint()
    for (let i = 0; i < count; i++) {
      const tag = this.uvarint()
      const size = this.uvarint()
      const at = this.#take(size)
      this.#at = at
      read?.(tag)
      if (this.#at > at + size) throw this.#broken(at, `the tagged field ${tag} is longer than the ${size} bytes it says`)
      this.#at = at + size
    }
  }

  /** Bytes that have not been read, as a view. */
  rest(): Buffer {
    return this.#bytes.subarray(this.#at)
  }

  /** Bytes left over mean that the layout is another than the one that was read. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw this.#broken(this.#at, `${left} bytes follow its end`)
  }

  #take(size: number): number {
    const at = this.#at
    if (at + size > this.#bytes.length) throw this.#broken(at, `${size} bytes are wanted and ${this.#bytes.length - at} are left`)
    this.#at = at + size
    return at
  }

  #broken(at: number, what: string): DecodeError {
    return new DecodeError(`The ${this.#what} cannot be read at byte ${at} of ${this.#bytes.length}: ${what}.`, {
      details: { response: this.#what, position: at },
    })
  }
}

const EMPTY = Buffer.alloc(0)
