import { inspect } from 'node:util'
import { errorFromWire, errorToWire, type WireError } from '../../core/error-wire.ts'
import type { Log } from '../../core/log.ts'
import type { LogCall, LogLevel } from './messages.ts'

const ERROR = 'tidemark.wire-error'

type WiredError = { readonly [ERROR]: WireError }

/** A log whose calls go elsewhere, as data. */
export function forwardingLog(send: (call: LogCall) => void): Log {
  const at =
    (level: LogLevel) =>
    (fields: object, message?: string): void =>
      send({ level, fields: fieldsToWire(fields), message })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Makes the call that a worker made, on the job's own log. */
export function replayLogCall(log: Log, { level, fields, message }: LogCall): void {
  log[level](fieldsFromWire(fields), message)
}

/** Errors keep what they are; what cannot be cloned goes as the text that a console would show. */
function fieldsToWire(fields: unknown): unknown {
  if (fields instanceof Error) return { err: wireError(fields) }
  try {
    return structuredClone(Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, wireError(value)])))
  } catch {
    return { fields: inspect(fields) }
  }
}

function wireError(value: unknown): unknown {
  return value instanceof Error ? ({ [ERROR]: errorToWire(value) } satisfies WiredError) : value
}

function fieldsFromWire(fields: unknown): object {
  const entries = Object.entries(fields as Record<string, unknown>)
  return Object.fromEntries(entries.map(([name, value]) => [name, isWiredError(value) ? errorFromWire(value[ERROR]) : value]))
}

function isWiredError(value: unknown): value is WiredError {
  return typeof value === 'object' && value !== null && ERROR in value
}
