import {
  AuthError,
  ConfigError,
  ConflictError,
  ConnectionError,
  DataLossError,
  DecodeError,
  errorMessage,
  FencedError,
  isDataLoss,
  isTidemarkError,
  JobError,
  LeaseHeldError,
  LedgerConflictError,
  RecordError,
  TaskFailedError,
  TidemarkError,
  TimeoutError,
  UnsupportedError,
} from './errors.ts'
import type { Json } from './values.ts'

/** An error as plain JSON, so that it can cross threads and machines. Other copies of this package read it too: it only gains fields. */
export type WireError = {
  /** The class, such as `FencedError` or `TypeError`. */
  readonly name: string
  readonly message: string
  readonly stack?: string
  /** Of our own errors; their code is among the fields of any other. */
  readonly tidemark?: { readonly code: string; readonly retryable: boolean; readonly details: Json; readonly resumeAt?: number }
  /** Own enumerable properties. */
  readonly fields?: { readonly [name: string]: Json }
  readonly cause?: WireError
  /** Of an AggregateError. */
  readonly errors?: readonly WireError[]
}

const OURS = {
  AuthError,
  ConfigError,
  ConflictError,
  ConnectionError,
  DataLossError,
  DecodeError,
  FencedError,
  JobError,
  LeaseHeldError,
  LedgerConflictError,
  RecordError,
  TaskFailedError,
  TidemarkError,
  TimeoutError,
  UnsupportedError,
} as const

const NATIVE = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const

/** How deep causes and fields are followed: what is deeper helps nobody, and a cycle ends there. */
const MAX_DEPTH = 8
/** Fields of {@link WireError} or of our classes, which are told by themselves. */
const OWN_FIELDS = new Set([
  'name',
  'message',
  'stack',
  'cause',
  'errors',
  'code',
  'details',
  'retryable',
  'lossCause',
  'missing',
  'resumeAt',
])
/** A stack or message longer than this is cut: an error must not be what breaks a message's limit. */
const MAX_TEXT = 20_000

/** Makes an error plain. Class, code and fields are kept; what is no data (functions, sockets) is left out. */
export function errorToWire(error: unknown, depth = 0): WireError {
  if (!(error instanceof Error)) return { name: 'Error', message: cut(errorMessage(error)) }
  const isOurs = isTidemarkError(error)
  const fields = fieldsOf(error, isOurs)
  const { stack, cause } = error
  const deeper = depth < MAX_DEPTH
  return {
    name: error.name,
    message: cut(error.message),
    ...(stack !== undefined && { stack: cut(stack) }),
    ...(isOurs && { tidemark: tidemarkPart(error) }),
    ...(fields !== undefined && { fields }),
    ...(cause !== undefined && deeper && { cause: errorToWire(cause, depth + 1) }),
    ...(error instanceof AggregateError && deeper && { errors: error.errors.map(inner => errorToWire(inner, depth + 1)) }),
  }
}

/** The error again: of its class where that is ours or the language's own, else an `Error` with its name and fields. */
export function errorFromWire(wire: WireError): Error {
  const options = wire.cause === undefined ? undefined : { cause: errorFromWire(wire.cause) }
  const error = wire.tidemark === undefined ? foreignError(wire, options) : ownError(wire, wire.tidemark, options)
  for (const [name, value] of Object.entries(wire.fields ?? {})) define(error, name, value, true)
  if (error.name !== wire.name) define(error, 'name', wire.name, false)
  if (wire.stack !== undefined) define(error, 'stack', wire.stack, false)
  return error
}

function tidemarkPart(error: TidemarkError): NonNullable<WireError['tidemark']> {
  const { code, retryable, details } = error
  const resumeAt = isDataLoss(error) ? error.resumeAt : undefined
  return { code, retryable, details: toJson(details), ...(resumeAt !== undefined && { resumeAt }) }
}

function fieldsOf(error: Error, isOurs: boolean): { readonly [name: string]: Json } | undefined {
  const names = Object.keys(error).filter(
    name => !OWN_FIELDS.has(name) || (!isOurs && !['name', 'message', 'stack', 'cause', 'errors'].includes(name)),
  )
  if (names.length === 0) return undefined
  return toJson(Object.fromEntries(names.map(name => [name, Reflect.get(error, name)]))) as { readonly [name: string]: Json }
}

function foreignError(wire: WireError, options: { cause: Error } | undefined): Error {
  if (wire.errors !== undefined) return new AggregateError(wire.errors.map(errorFromWire), wire.message, options)
  const Class = NATIVE[wire.name as keyof typeof NATIVE] ?? Error
  return new Class(wire.message, options)
}

function ownError(
  { name, message }: WireError,
  { code, retryable, details, resumeAt }: NonNullable<WireError['tidemark']>,
  options: { cause: Error } | undefined,
): TidemarkError {
  const own = { details: details as Record<string, unknown>, retryable, ...options }
  const error = new TidemarkError(code as TidemarkError['code'], message, own)
  // The constructors of the classes compose messages and details; here both are there already.
  const Class = OURS[name as keyof typeof OURS] ?? TidemarkError
  Object.setPrototypeOf(error, Class.prototype)
  define(error, 'name', name, false)
  if (Class === DataLossError) {
    define(error, 'lossCause', own.details.cause, true)
    define(error, 'missing', own.details.missing, true)
    define(error, 'resumeAt', resumeAt, true)
  }
  return error
}

function define(error: Error, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, name, { value, enumerable, writable: true, configurable: true })
}

function cut(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`
}

/** What JSON can say of a value: big integers and bytes as text, errors by their message, cycles and functions left out. */
function toJson(value: unknown, depth = 0): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || depth > MAX_DEPTH) return null
  if (value instanceof Error) return value.message
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, MAX_TEXT)).toString('base64')
  if (Array.isArray(value)) return value.map(item => toJson(item, depth + 1))
  const entries = Object.entries(value).filter(([, item]) => item !== undefined && typeof item !== 'function' && typeof item !== 'symbol')
  return Object.fromEntries(entries.map(([name, item]) => [name, toJson(item, depth + 1)]))
}
