import {
  AuthError,
  ConfigError,
  ConnectionError,
  type ErrorDetails,
  errorMessage,
  isTidemarkError,
  type TidemarkError,
  TimeoutError,
  UnsupportedError,
} from '../core/errors.ts'

/** What messages call a Postgres: `The offset store at localhost:5432/orders`. No part of it is a secret. */
export type PostgresPlace = {
  /** What Tidemark uses it for: `offset store`, `output postgres:orders`. */
  readonly use: string
  /** See `showPostgresAddress`. */
  readonly address: string
}

/** Errors of sockets and of looking names up, by Node's code. */
const UNREACHABLE = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'EHOSTDOWN', 'ENETUNREACH', 'ENETDOWN'],
  ...['ENOTFOUND', 'EAI_AGAIN', 'EADDRNOTAVAIL', 'ENOENT', 'EACCES', 'EMFILE', 'ERR_STREAM_DESTROYED', 'ERR_STREAM_PREMATURE_CLOSE'],
])
/** How `pg` and `pg-pool` say that a connection is lost, or that none came about in time; they give these no code. */
const LOST =
  /^Connection terminated|^timeout expired$|^timeout exceeded when trying to connect|is not queryable$|^Query read timeout$|^Connection ended/
const ENDED_POOL = /^Cannot use a pool after calling end/
const NO_TLS = /does not support SSL connections|error establishing an SSL connection/
const SQLSTATE = /^[0-9A-Z]{5}$/

/** The SQLSTATE of an error that a Postgres server (or PgBouncer) sent, such as `42P01`; undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error && 'severity' in error && 'code' in error)) return undefined
  return typeof error.code === 'string' && SQLSTATE.test(error.code) ? error.code : undefined
}

/**
 * Whether the connection is gone, so that it must not be used again. What was sent over it last may or may not have happened; where that was
 * a `commit`, only the server can tell.
 */
export function isConnectionLost(error: unknown): boolean {
  const state = sqlState(error)
  if (state !== undefined) return /^(08|57P|25P0[34]$)/.test(state)
  if (!(error instanceof Error) || isTidemarkError(error)) return false
  return LOST.test(error.message) || UNREACHABLE.has(codeOf(error) ?? '')
}

/**
 * What an error of Postgres, of `pg` or of the network means, for messages and for whoever decides about trying again; undefined for an error of
 * none of them. The password never gets into it. SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html.
 */
export function describePostgresError(error: unknown, place: PostgresPlace): TidemarkError | undefined {
  if (isTidemarkError(error)) return error
  const state = sqlState(error)
  return state === undefined ? describeClientError(error, place) : describeServerError(error, state, place)
}

function describeServerError(cause: unknown, state: string, { use, address }: PostgresPlace): TidemarkError {
  const details: ErrorDetails = { address, sqlState: state }
  const at = `The ${use} at ${address}`
  const says = `Postgres says: ${withStop(errorMessage(cause))}`
  const options = { cause, details }
  // PgBouncer gives nearly all its refusals the code of a broken protocol, or an internal one.
  if (state.startsWith('28') || /^(SASL|password|auth\w*) (authentication )?failed|^no such user/i.test(errorMessage(cause))) {
    return new AuthError(`${at} refused the login. ${says} Check user and password.`, options)
  }
  switch (state) {
    case '3D000':
      return new ConfigError(`${at} has no such database. ${says}`, options)
    case '42501':
      return new AuthError(`${at} refused: this user lacks a right. ${says}`, options)
    case '25006':
      // Behind a name that moves with a fail-over the next connection reaches the primary, so this is worth another try.
      return new ConnectionError(`${at} is read-only: a standby, or a session that may not write. ${says} Connect to the primary.`, options)
    case '55P03':
      return new TimeoutError(
        `${at} is waiting for a lock that another session holds. ${says} Try again, or look for it in pg_locks.`,
        options,
      )
    case '57014':
      return new TimeoutError(`${at} took too long for a statement. ${says}`, options)
    case '57P04':
      return new ConnectionError(`${at} is gone: its database was dropped. ${says}`, { ...options, retryable: false })
    case '53100':
      return new ConnectionError(`${at} cannot grow: its disk is full. ${says} Make room.`, options)
    case '53300':
      return new ConnectionError(`${at} has no connection left. ${says} Raise max_connections, or put PgBouncer in front.`, options)
    case '0A000':
      return new UnsupportedError(`${at} cannot do what is asked. ${says}`, options)
    case '22021':
    case '22P05':
      return new ConfigError(`${at} cannot keep a text in its database's encoding. ${says} Use a database with the encoding UTF8.`, options)
  }
  switch (state.slice(0, 2)) {
    case '08':
    case '57':
      return new ConnectionError(`${at} ended the connection. ${says}`, options)
    case '25':
    case '40':
    case '53':
    case '58':
      return new ConnectionError(`${at} could not finish a transaction. ${says}`, options)
    default:
      return new ConnectionError(`${at}: ${says} (SQLSTATE ${state})`, { ...options, retryable: false })
  }
}

function describeClientError(cause: unknown, { use, address }: PostgresPlace): TidemarkError | undefined {
  if (!(cause instanceof Error)) return undefined
  const options = { cause, details: { address } }
  const text = reasonOf(cause)
  if (text.startsWith('SASL: ')) {
    return new AuthError(
      `The ${use} at ${address} wants a password, or another one: ${withStop(text)} Check the connection string.`,
      options,
    )
  }
  if (ENDED_POOL.test(text)) {
    return new ConfigError(`The pool of the ${use} at ${address} was ended. End a pool only after everything that uses it.`, options)
  }
  if (NO_TLS.test(text))
    return new ConfigError(`The ${use} at ${address} cannot be reached with TLS: ${withStop(text)} Mind sslmode.`, options)
  if (isConnectionLost(cause)) {
    return new ConnectionError(`The ${use} at ${address} cannot be reached: ${withStop(text)} Is it running?`, options)
  }
  const code = codeOf(cause)
  if (code !== undefined && /CERT|SSL|TLS|^UNABLE_TO_/.test(code)) {
    return new ConfigError(
      `The ${use} at ${address} has a certificate that is not trusted: ${withStop(text)} Name its authority in the ssl options.`,
      {
        ...options,
      },
    )
  }
  return undefined
}

/** Node tries every address of a name and then throws one error for all, which has no text of its own. */
function reasonOf(error: Error): string {
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorMessage).join(', ')
  return error.message === '' ? (codeOf(error) ?? error.name) : error.message
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function withStop(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}
