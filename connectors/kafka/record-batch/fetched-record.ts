import { inspect } from 'node:util'
import type { KafkaHeader, KafkaRecord } from '../record.ts'
import { BufferView } from './buffer-view.ts'
import { readVarint, varintEnd } from './varint.ts'

/** The bytes that records are read from, with what a view of them needs at hand. */
export type RecordBytes = { readonly bytes: Buffer; readonly memory: ArrayBufferLike; readonly byteOffset: number }

/** Wraps bytes once for all the records in them. */
export function recordBytes(bytes: Buffer): RecordBytes {
  return { bytes, memory: bytes.buffer, byteOffset: bytes.byteOffset }
}

const NO_HEADERS: readonly KafkaHeader[] = Object.freeze([])

/**
 * A record as `source.read` gives it. Topic, partition, offset and timestamp are its own properties; key, value and headers are read from
 * the fetched bytes when they are asked for (the value once, the others each time), for a view costs a third of all it takes to decode a
 * record. So `{ ...record }` has only the first four: take `record.toJSON()` for a plain object of all seven.
 */
export class FetchedRecord implements KafkaRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly #source: RecordBytes
  /** Where the length of the key stands. The decoder has checked everything from there to the record's end. */
  readonly #at: number
  #value: Buffer | null | undefined

  constructor(topic: string, partition: number, offset: number, timestamp: number, source: RecordBytes, at: number) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.timestamp = timestamp
    this.#source = source
    this.#at = at
    this.#value = undefined
  }

  get key(): Buffer | null {
    return readView(this.#source, this.#at)
  }

  get value(): Buffer | null {
    const value = this.#value
    if (value !== undefined) return value
    const source = this.#source
    const made = readView(source, skipBytes(source.bytes, this.#at))
    this.#value = made
    return made
  }

  get headers(): readonly KafkaHeader[] {
    const source = this.#source
    return readHeaders(source, skipBytes(source.bytes, skipBytes(source.bytes, this.#at)))
  }

  /** A plain object of all seven fields, which spreads, clones and compares like one. */
  toJSON(): KafkaRecord {
    const { topic, partition, offset, timestamp, key, value, headers } = this
    return { topic, partition, offset, timestamp, key, value, headers }
  }

  [inspect.custom](): unknown {
    return this.toJSON()
  }
}

function skipBytes(bytes: Buffer, at: number): number {
  const length = readVarint(bytes, at)
  return length > 0 ? varintEnd + length : varintEnd
}

function readView(source: RecordBytes, at: number): Buffer | null {
  const length = readVarint(source.bytes, at)
  return length < 0 ? null : new BufferView(source.memory, source.byteOffset + varintEnd, length)
}

function readHeaders(source: RecordBytes, at: number): readonly KafkaHeader[] {
  const { bytes } = source
  const count = readVarint(bytes, at)
  if (count === 0) return NO_HEADERS
  const headers: KafkaHeader[] = []
  for (let next = varintEnd; headers.length < count; ) {
    const nameLength = readVarint(bytes, next)
    const nameEnd = varintEnd + nameLength
    const name = bytes.toString('utf8', varintEnd, nameEnd)
    headers.push([name, readView(source, nameEnd)])
    next = skipBytes(bytes, nameEnd)
  }
  return headers
}
