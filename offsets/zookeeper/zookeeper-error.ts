import { AuthError, ConnectionError, errorMessage, isTidemarkError, type TidemarkError, UnsupportedError } from '../../src/core/errors.ts'

// https://zookeeper.apache.org/doc/r3.8.4/apidocs/zookeeper-server/org/apache/zookeeper/KeeperException.Code.html
const CONNECTION_LOSS = -4
const UNIMPLEMENTED = -6
const OPERATION_TIMEOUT = -7
const NO_NODE = -101
const NO_AUTH = -102
const BAD_VERSION = -103
const NODE_EXISTS = -110
const NOT_EMPTY = -111
const SESSION_EXPIRED = -112
const INVALID_ACL = -114
const AUTH_FAILED = -115

/** Answers that are no failure: they say how the tree is, and the caller looks again. */
export type Refusal = 'NO_NODE' | 'BAD_VERSION' | 'NODE_EXISTS' | 'NOT_EMPTY'

const REFUSALS: Readonly<Record<number, Refusal>> = {
  [NO_NODE]: 'NO_NODE',
  [BAD_VERSION]: 'BAD_VERSION',
  [NODE_EXISTS]: 'NODE_EXISTS',
  [NOT_EMPTY]: 'NOT_EMPTY',
}

/** What an answer says about the tree, or undefined for a real failure. */
export function refusalOf(error: unknown): Refusal | undefined {
  const code = codeOf(error)
  return code === undefined ? undefined : REFUSALS[code]
}

/** What a failed request means for the ZooKeeper at `where` (`host:port,…`). `about` is what was asked for, by path. Never has credentials in it. */
export function describeZookeeperError(error: unknown, where: string, about: string): TidemarkError {
  if (isTidemarkError(error)) return error
  const options = { cause: error, details: { where, about } }
  switch (codeOf(error)) {
    case CONNECTION_LOSS:
    case SESSION_EXPIRED:
    case OPERATION_TIMEOUT:
      return lostConnection(where, error)
    case NO_AUTH:
      return new AuthError(
        `ZooKeeper at ${where} refuses access to ${about}: the node's ACL does not have the credentials of this session. Check \`auth\`.`,
        options,
      )
    case AUTH_FAILED:
      return authRefused(where, error)
    case INVALID_ACL:
      return new AuthError(
        `ZooKeeper at ${where} refuses to make ${about} with acl 'creator': this session has no credentials. Give \`auth\`, or call addAuthInfo() on the client.`,
        options,
      )
    case UNIMPLEMENTED:
      return new UnsupportedError(`ZooKeeper at ${where} knows no transactions (multi). Version 3.5 or newer is needed.`, options)
    default:
      return new ConnectionError(`ZooKeeper at ${where} failed at ${about}: ${errorMessage(error)}.`, options)
  }
}

/** The connection ended while a request was under way. */
export function lostConnection(where: string, cause?: unknown): ConnectionError {
  return new ConnectionError(
    `The connection to ZooKeeper at ${where} was lost before the answer came. Whether the request was carried out is not known; send it again.`,
    { details: { where, lost: true }, ...(cause !== undefined && { cause }) },
  )
}

/** Whether a request's outcome is unknown for the connection's sake, so that the same request may be sent again. */
export function isLostConnection(error: unknown): boolean {
  return isTidemarkError(error, 'CONNECTION') && error.details.lost === true
}

/** The server does not know the scheme, or refuses the proof. */
export function authRefused(where: string, cause?: unknown): AuthError {
  return new AuthError(`ZooKeeper at ${where} refuses the credentials of \`auth\`, or does not know their scheme.`, {
    details: { where },
    ...(cause !== undefined && { cause }),
  })
}

function codeOf(error: unknown): number | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'number' ? code : undefined
}
