import * as errorClasses from './errors.ts'
import { DataLossError, errorMessage, isDataLoss, isTidemarkError, TidemarkError } from './errors.ts'
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

/** By name, whatever classes there are. */
const OURS: ReadonlyMap<string, { readonly prototype: TidemarkError }> = new Map(
  Object.values(errorClasses).flatMap(value => (isOurClass(value) ? [[value.name, value] as const] : [])),
)

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
/** A stack, message or text longer than this is cut: an error must not be what breaks a message's limit. */
const MAX_TEXT = 20_000
/** Where clients keep what they were configured with, which may be a secret: an HTTP client's request, a command with its arguments. */
const UNSAID =
  /^(config|request|response|req|res|options|headers|command|args|auth|password|passwd|secret|token|authorization|connectionString|url|uri)$/i
/** How many values are taken from an error's fields: a client's errors may hold its socket, and with it half of the process. */
const MAX_FIELD_VALUES = 1_000

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
    ...(typeof stack === 'string' && { stack: cut(stack) }),
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
  return { code, retryable, details: toJson(details, Number.POSITIVE_INFINITY), ...(resumeAt !== undefined && { resumeAt }) }
}

function fieldsOf(error: Error, isOurs: boolean): { readonly [name: string]: Json } | undefined {
  const names = Object.keys(error).filter(
    name => !OWN_FIELDS.has(name) || (!isOurs && !['name', 'message', 'stack', 'cause', 'errors'].includes(name)),
  )
  if (names.length === 0) return undefined
  return toJson(Object.fromEntries(names.map(name => [name, read(error, name)])), MAX_FIELD_VALUES, UNSAID) as {
    readonly [name: string]: Json
  }
}

/** A getter that throws must not hide the error it is on. */
function read(object: object, name: string): unknown {
  try {
    return Reflect.get(object, name)
  } catch {
    return undefined
  }
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
  const Class = OURS.get(name) ?? TidemarkError
  Object.setPrototypeOf(error, Class.prototype)
  define(error, 'name', name, true)
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

/** Of a `message` too, which libraries have been seen to set to an object. */
function cut(value: unknown): string {
  const text = String(value)
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length} characters)`
}

/** What JSON can say of a value, and no more than `maxValues` of what it holds. */
function toJson(value: unknown, maxValues: number, unsaid?: RegExp): Json {
  return plain(value, { above: new Set(), left: maxValues, unsaid }) ?? null
}

type Walk = { readonly above: Set<object>; left: number; readonly unsaid: RegExp | undefined }

/** Big integers and bytes as text, errors by their message, maps and sets as lists; undefined for functions, for what is above itself, and too deep. */
function plain(value: unknown, walk: Walk): Json | undefined {
  walk.left -= 1
  if (value === null || typeof value === 'boolean') return value
  if (typeof value === 'string') return cut(value)
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || walk.above.size > MAX_DEPTH || walk.above.has(value)) return undefined
  if (value instanceof Error) return cut(value.message)
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, Math.min(value.byteLength, MAX_TEXT)).toString('base64')
  walk.above.add(value)
  const result =
    value instanceof Map || value instanceof Set || Array.isArray(value) ? plainList([...value], walk) : plainObject(value, walk)
  walk.above.delete(value)
  return result
}

function plainList(items: readonly unknown[], walk: Walk): Json {
  const list: Json[] = []
  for (const item of items) {
    if (walk.left <= 0) break
    // A place in a list is kept, or those behind it would move.
    list.push(plain(item, walk) ?? null)
  }
  return list
}

function plainObject(object: object, walk: Walk): Json {
  const entries: [string, Json][] = []
  for (const name of Object.keys(object)) {
    if (walk.left <= 0) break
    if (walk.unsaid?.test(name)) continue
    const value = plain(read(object, name), walk)
    if (value !== undefined) entries.push([name, value])
  }
  return Object.fromEntries(entries)
}

function isOurClass(value: unknown): value is typeof TidemarkError {
  return typeof value === 'function' && (value === TidemarkError || value.prototype instanceof TidemarkError)
}
