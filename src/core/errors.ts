import type { OffsetRange, TopicPartition } from './values.ts'

/** What went wrong, by what the caller can do about it. */
export type ErrorCode =
  | 'CONFIG'
  | 'JOB'
  | 'CONNECTION'
  | 'AUTH'
  | 'UNSUPPORTED'
  | 'FENCED'
  | 'LEASE_HELD'
  | 'CONFLICT'
  | 'DATA_LOSS'
  | 'DECODE'
  | 'RECORD'
  | 'TASK_FAILED'
  | 'TIMEOUT'

/** Plain data that goes with an error: ranges, ids, epochs. It crosses threads and machines, so it holds nothing else. */
export type ErrorDetails = Readonly<Record<string, unknown>>

const BRAND = Symbol.for('tidemark.error')

/**
 * Every error Tidemark throws. `message` says what happened, to what, and what to do next; `code` says it to programs.
 * Known by a brand and not by `instanceof`, since a job and the CLI may load two copies of this package: see {@link isTidemarkError}.
 */
export class TidemarkError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails
  /** Whether the same call may succeed later: a connection, a leader election, a deadlock. */
  readonly retryable: boolean

  constructor(code: ErrorCode, message: string, options: { details?: ErrorDetails; retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = options.details ?? {}
    this.retryable = options.retryable ?? false
    Object.defineProperty(this, BRAND, { value: true })
  }
}

type ErrorOptions = { details?: ErrorDetails; cause?: unknown }

/** Options, arguments or the environment are wrong. Mend them; trying again will not help. */
export class ConfigError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('CONFIG', message, options)
  }
}

/** The job module is wrong: it does not load, or what it declares does not fit what was begun. */
export class JobError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('JOB', message, options)
  }
}

/**
 * A service could not be reached or dropped the connection. Retryable. With `retryAfterMs` the service is known to be away for longer, and whoever throws
 * it has stopped asking: see {@link retryAfterOf}.
 */
export class ConnectionError extends TidemarkError {
  constructor(message: string, options: ErrorOptions & { retryable?: boolean; retryAfterMs?: number } = {}) {
    const { retryAfterMs, details, ...rest } = options
    super('CONNECTION', message, { retryable: true, ...rest, details: { ...details, ...(retryAfterMs !== undefined && { retryAfterMs }) } })
  }
}

/** A service refused the credentials, or the rights do not reach. */
export class AuthError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('AUTH', message, options)
  }
}

/** A service or a format is older or newer than what this version can handle. */
export class UnsupportedError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('UNSUPPORTED', message, options)
  }
}

/** A lease that is no longer the newest, or was released. The holder must stop: somebody else writes now. */
export class FencedError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('FENCED', message, options)
  }
}

/** Another owner's lease is alive. Wait for it to end, or take it over with `steal`. */
export class LeaseHeldError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('LEASE_HELD', message, options)
  }
}

/** A store call that does not fit the stream's state: a wrong batch id, a gap, a batch already begun. */
export class ConflictError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('CONFLICT', message, options)
  }
}

/** A destination already holds a task of this name with another range: never a skip, or rows would be lost (apache/druid#5161). */
export class LedgerConflictError extends ConflictError {}

/** Why records that a stream was to read are gone. */
export type DataLossCause = 'retention' | 'truncation' | 'recreated' | 'removed'

/** What to do about lost records, by cause: stop with {@link DataLossError}, or report them and go on with what is left. */
export type DataLossPolicy = Readonly<Record<DataLossCause, 'fail' | 'skip'>>

/** Records that a stream was to read are gone from Kafka. `details` has `cause`, topic, partition and the exact missing ranges. */
export class DataLossError extends TidemarkError {
  readonly lossCause: DataLossCause
  /** Exactly what is gone, as far as anybody can still say: of a log that was deleted nobody knows how long it was. */
  readonly missing: readonly OffsetRange[]
  /** Where the partition's log goes on; undefined where there is none any more, or where it is another log. */
  readonly resumeAt: number | undefined

  constructor(
    lossCause: DataLossCause,
    message: string,
    missing: readonly OffsetRange[],
    { resumeAt, ...options }: ErrorOptions & { resumeAt?: number } = {},
  ) {
    const [{ topic, partition } = {}] = missing
    const where = topic === undefined ? {} : { topic, partition }
    const details = { ...where, ...options.details, cause: lossCause, missing, ...(resumeAt !== undefined && { resumeAt }) }
    super('DATA_LOSS', message, { ...options, details })
    this.lossCause = lossCause
    this.missing = missing
    this.resumeAt = resumeAt
  }
}

/** Whether `error` is a data loss of any copy of this package. */
export function isDataLoss(error: unknown): error is DataLossError {
  return isTidemarkError(error, 'DATA_LOSS')
}

/** Bytes from Kafka that break the format: a failed checksum, a length past its end, a codec nobody knows. */
export class DecodeError extends TidemarkError {
  constructor(message: string, options: ErrorOptions & { at?: TopicPartition & { offset?: number }; retryable?: boolean } = {}) {
    const { at, ...rest } = options
    super('DECODE', message, { ...rest, details: { ...at, ...options.details } })
  }
}

/** The job's own code failed on a record. `details` has topic, partition, offset and stage. */
export class RecordError extends TidemarkError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('RECORD', message, options)
  }
}

/** A task could not be completed; `cause` is why. Nothing of its batch was committed. Retryable only where it says so: its thread or machine died. */
export class TaskFailedError extends TidemarkError {
  constructor(message: string, options: ErrorOptions & { retryable?: boolean } = {}) {
    super('TASK_FAILED', message, options)
  }
}

/** A deadline passed. Retryable unless it says otherwise. */
export class TimeoutError extends TidemarkError {
  constructor(message: string, options: ErrorOptions & { retryable?: boolean } = {}) {
    super('TIMEOUT', message, { retryable: true, ...options })
  }
}

/** Whether `error` is a Tidemark error of any copy of this package, and of `code` where one is given. */
export function isTidemarkError(error: unknown, code?: ErrorCode): error is TidemarkError {
  return error instanceof Error && BRAND in error && (code === undefined || (error as Error & { code?: unknown }).code === code)
}

/** Whether trying the same thing again may help. Errors of the job's own code never are. */
export function isRetryable(error: unknown): boolean {
  return isTidemarkError(error) && error.retryable
}

/**
 * How long a service that is away is to be left alone, ms (`retryAfterMs` in the details of a retryable error): it is waited out with health red for as
 * long as it takes, and the time does not count against `retry.forMs`. Undefined for every other error.
 */
export function retryAfterOf(error: unknown): number | undefined {
  if (!isRetryable(error)) return undefined
  const { retryAfterMs } = (error as TidemarkError).details
  return typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? retryAfterMs : undefined
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
