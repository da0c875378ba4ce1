import type { Encode } from './encode.ts'
import { arrayEncoder } from './encode-array.ts'
import { encodeBytea, encodeUuid } from './encode-bytes.ts'
import { encodeBool, encodeFloat4, encodeFloat8, encodeInt2, encodeInt4, encodeInt8, encodeOid } from './encode-number.ts'
import { encodeNumeric } from './encode-numeric.ts'
import { encodeJson, encodeJsonb, encodeText } from './encode-text.ts'
import { encodeDate, encodeTime, encodeTimestamp, encodeTimestamptz } from './encode-time.ts'

/** A type as the server's catalogue has it. */
export type PostgresType = {
  readonly oid: number
  readonly name: string
  /** Whether it is the server's own: another schema may have a type of the same name. */
  readonly isBuiltIn: boolean
  readonly kind: 'base' | 'enum' | 'domain' | 'other'
  /** Of an array. */
  readonly element?: PostgresType | undefined
  /** Of a domain: what it is over. */
  readonly base?: PostgresType | undefined
}

const BUILT_IN: Readonly<Record<string, Encode>> = {
  int2: encodeInt2,
  int4: encodeInt4,
  int8: encodeInt8,
  oid: encodeOid,
  float4: encodeFloat4,
  float8: encodeFloat8,
  numeric: encodeNumeric,
  bool: encodeBool,
  text: encodeText,
  varchar: encodeText,
  bpchar: encodeText,
  name: encodeText,
  xml: encodeText,
  json: encodeJson,
  jsonb: encodeJsonb,
  bytea: encodeBytea,
  uuid: encodeUuid,
  date: encodeDate,
  time: encodeTime,
  timestamp: encodeTimestamp,
  timestamptz: encodeTimestamptz,
}

/** The binary encoder of a type; undefined for one that has none, whose values go as text and are read by the server. */
export function encoderOf(type: PostgresType): Encode | undefined {
  if (type.base !== undefined) return encoderOf(type.base)
  if (type.kind === 'enum') return encodeText
  if (type.element !== undefined) {
    const encode = encoderOf(type.element)
    return encode && arrayEncoder(type.element.oid, encode, { isFlat: encode === encodeJson || encode === encodeJsonb })
  }
  if (type.isBuiltIn) return BUILT_IN[type.name]
  return type.name === 'citext' ? encodeText : undefined
}
