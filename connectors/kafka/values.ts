import { MAP_ARRAY } from '../../src/core/brands.ts'
import { errorMessage, RecordError } from '../../src/core/errors.ts'
import { showPartition } from '../../src/core/values.ts'
import { parseJsonArray } from './parse-json-array.ts'
import type { KafkaRecord } from './record.ts'

/** A record whose value is there. */
export type RecordWithValue = KafkaRecord & { readonly value: Buffer }

/** Tells records with a value from tombstones: `.filter(hasValue)`. */
export function hasValue(record: KafkaRecord): record is RecordWithValue {
  return record.value !== null
}

/**
 * Parses a record's value as JSON: `.map(json<Order>())`. The type is what you say it is; it is not checked.
 *
 * @throws RecordError for a value that is no JSON, or for none at all (a tombstone): filter those out with {@link hasValue}
 */
export function json<T>(): (record: KafkaRecord) => T {
  function json(record: KafkaRecord): T {
    const value = requireValue(record)
    try {
      return JSON.parse(value.toString('utf8')) as T
    } catch (cause) {
      throw new RecordError(`the value is not JSON: ${errorMessage(cause)}`, { details: at(record), cause })
    }
  }
  return Object.assign(json, { [MAP_ARRAY]: parseJsonArray })
}

/** Decodes a record's value as UTF-8 text: `.map(text())`. @throws RecordError for a record without a value */
export function text(): (record: KafkaRecord) => string {
  return function text(record) {
    return requireValue(record).toString('utf8')
  }
}

function requireValue(record: KafkaRecord): Buffer {
  if (record.value === null) {
    throw new RecordError(
      `${showPartition(record)} offset ${record.offset} has no value (a tombstone); .filter(hasValue) leaves those out`,
      {
        details: at(record),
      },
    )
  }
  return record.value
}

function at({ topic, partition, offset }: KafkaRecord) {
  return { topic, partition, offset }
}
