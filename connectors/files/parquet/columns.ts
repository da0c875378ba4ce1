import type { SchemaElement } from 'hyparquet'
import type { ColumnBuffer } from './column-buffer.ts'
import { encodeByteArray, encodeJson, encodeString, encodeUuid } from './encode-bytes.ts'
import { decimalEncoder, WIDE_DECIMAL_BYTES } from './encode-decimal.ts'
import { type Encode, encodeBoolean, encodeDouble, encodeFloat, encodeInt32, encodeInt64 } from './encode-number.ts'
import { encodeDate, timestampEncoder } from './encode-time.ts'

/**
 * What a column of a Parquet file holds. `timestamp` is an instant in microseconds, `timestamp_ms` in milliseconds; `json` is any value as JSON; `bytes`
 * is a Buffer.
 */
export type ParquetType =
  | 'string'
  | 'int32'
  | 'int64'
  | 'float'
  | 'double'
  | 'boolean'
  | 'bytes'
  | 'uuid'
  | 'json'
  | 'date'
  | 'timestamp'
  | 'timestamp_ms'

/** A column: its type, or the type with more said. */
export type ParquetColumn =
  | ParquetType
  | { readonly type: ParquetType; readonly nullable?: boolean | undefined }
  | { readonly type: 'decimal'; readonly precision: number; readonly scale: number; readonly nullable?: boolean | undefined }

/** A column as it is encoded. */
export type EncodedColumn = {
  readonly name: string
  readonly element: SchemaElement
  readonly isNullable: boolean
  readonly encode: Encode
  /** The least and the greatest value for readers that skip what cannot match; undefined where they could not rely on it. */
  readonly bounds: (buffer: ColumnBuffer) => Bounds | undefined
}

type Bound = number | bigint | Uint8Array | boolean
type Bounds = { readonly min_value: Bound; readonly max_value: Bound }
type Kind = Pick<EncodedColumn, 'encode' | 'bounds'> & { readonly element: Omit<SchemaElement, 'name'> }

const UTC = { isAdjustedToUTC: true } as const

const KINDS: Readonly<Record<ParquetType, Kind>> = {
  string: {
    element: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
    encode: encodeString,
    bounds: ofBytes,
  },
  int32: { element: { type: 'INT32' }, encode: encodeInt32, bounds: ofNumbers },
  int64: { element: { type: 'INT64' }, encode: encodeInt64, bounds: ofIntegers },
  float: { element: { type: 'FLOAT' }, encode: encodeFloat, bounds: ofNumbers },
  double: { element: { type: 'DOUBLE' }, encode: encodeDouble, bounds: ofNumbers },
  boolean: { element: { type: 'BOOLEAN' }, encode: encodeBoolean, bounds: ofBooleans },
  bytes: { element: { type: 'BYTE_ARRAY' }, encode: encodeByteArray, bounds: ofBytes },
  uuid: {
    element: { type: 'FIXED_LEN_BYTE_ARRAY', type_length: 16, logical_type: { type: 'UUID' } },
    encode: encodeUuid,
    bounds: ofBytes,
  },
  json: { element: { type: 'BYTE_ARRAY', converted_type: 'JSON', logical_type: { type: 'JSON' } }, encode: encodeJson, bounds: ofNothing },
  date: { element: { type: 'INT32', converted_type: 'DATE', logical_type: { type: 'DATE' } }, encode: encodeDate, bounds: ofNumbers },
  timestamp: {
    element: { type: 'INT64', converted_type: 'TIMESTAMP_MICROS', logical_type: { type: 'TIMESTAMP', ...UTC, unit: 'MICROS' } },
    encode: timestampEncoder('micros'),
    bounds: ofIntegers,
  },
  timestamp_ms: {
    element: { type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', logical_type: { type: 'TIMESTAMP', ...UTC, unit: 'MILLIS' } },
    encode: timestampEncoder('millis'),
    bounds: ofIntegers,
  },
}

/** The names of the types, for messages. */
export const PARQUET_TYPES = Object.keys(KINDS) as ParquetType[]

/** The declared columns in their order. */
export function compileColumns(columns: Readonly<Record<string, ParquetColumn>>): EncodedColumn[] {
  return Object.entries(columns).map(([name, declared]) => {
    const column = typeof declared === 'string' ? { type: declared } : declared
    const isNullable = ('nullable' in column ? column.nullable : undefined) ?? true
    const { element, encode, bounds } = column.type === 'decimal' ? decimalKind(column) : KINDS[column.type]
    return { name, isNullable, encode, bounds, element: { ...element, name, repetition_type: isNullable ? 'OPTIONAL' : 'REQUIRED' } }
  })
}

function decimalKind({ precision, scale }: { readonly precision: number; readonly scale: number }): Kind {
  const logical = { converted_type: 'DECIMAL', precision, scale, logical_type: { type: 'DECIMAL', precision, scale } } as const
  const encode = decimalEncoder(precision, scale)
  const bounds = (buffer: ColumnBuffer) => {
    const found = ofIntegers(buffer)
    // Where a bound of a decimal is a number it is taken for one that is scaled; a BigInt counts last places.
    return found && { min_value: BigInt(found.min_value), max_value: BigInt(found.max_value) }
  }
  if (precision <= 9) return { element: { type: 'INT32', ...logical }, encode, bounds }
  if (precision <= 18) return { element: { type: 'INT64', ...logical }, encode, bounds }
  return { element: { type: 'FIXED_LEN_BYTE_ARRAY', type_length: WIDE_DECIMAL_BYTES, ...logical }, encode, bounds }
}

function ofNumbers({ min, max, hasNaN }: ColumnBuffer): Bounds | undefined {
  // Readers order NaN in different ways, so a column with one has no bounds.
  if (hasNaN || min > max) return undefined
  // The two zeros are equal and differ in their bytes: the bounds must hold both.
  return { min_value: min === 0 ? -0 : min, max_value: max === 0 ? 0 : max }
}

function ofIntegers({ min, max, minBig, maxBig }: ColumnBuffer): { min_value: bigint; max_value: bigint } | undefined {
  const hasNumbers = min <= max
  if (!hasNumbers && minBig === undefined) return undefined
  const least = hasNumbers ? BigInt(min) : (minBig as bigint)
  const greatest = hasNumbers ? BigInt(max) : (maxBig as bigint)
  return {
    min_value: minBig !== undefined && minBig < least ? minBig : least,
    max_value: maxBig !== undefined && maxBig > greatest ? maxBig : greatest,
  }
}

function ofBooleans({ min, max }: ColumnBuffer): Bounds | undefined {
  return min > max ? undefined : { min_value: min === 1, max_value: max === 1 }
}

function ofBytes({ bytes, least, greatest }: ColumnBuffer): Bounds | undefined {
  if (least === undefined || greatest === undefined) return undefined
  const copy = ({ at, length }: { readonly at: number; readonly length: number }) => Uint8Array.prototype.slice.call(bytes, at, at + length)
  return { min_value: copy(least), max_value: copy(greatest) }
}

function ofNothing(): undefined {
  return undefined
}
