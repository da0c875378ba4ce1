import { AuthError, ConfigError, ConnectionError, isTidemarkError, type TidemarkError, UnsupportedError } from '../core/errors.ts'

/** Why the same call may succeed later, by the code that Redis' answer begins with. */
const PASSING: Readonly<Record<string, string>> = {
  LOADING: 'is still loading its data from disk. Wait until it has',
  CLUSTERDOWN: 'is a cluster that is down: some of its slots have no master. See CLUSTER INFO',
  TRYAGAIN: 'is moving the slot of these keys to another node. Wait until it has',
  READONLY: 'is a replica now and takes no writes. A client that follows the master (Sentinel, Cluster) finds the new one',
  MASTERDOWN: 'is a replica that has lost its master. Wait for a new one',
  BUSY: 'is busy with a script of somebody else. Find it, or wait for its end',
  NOREPLICAS: 'has fewer replicas in reach than its min-replicas-to-write asks for. Start them, or lower it',
  MISCONF: 'cannot save to its disk and so takes no writes. Look at its log and its disk',
  OOM: 'is full: it uses more than its maxmemory. Nothing was written; raise maxmemory or make room',
}

const LOST =
  /^Connection is closed|max retries per request|Command aborted due to connection close|Command timed out|Socket timeout|sentinels are unreachable|startup nodes|Cluster is |Cluster isn't|Node is disconnected|Stream isn't writ|Too many Cluster redirections|Failed to refresh slots cache|already connecting/
const NETWORK = /^(E(?!RR_)[A-Z]+|ERR_(SOCKET|STREAM)_.*)$/
const CERTIFICATE = /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH)/

/**
 * What an error of Redis, of ioredis or of the network means for the service that messages call `where` ({@link redisAddress}); undefined for one of
 * neither. Known by shape, so that any version of ioredis will do. `details.reply` is the code that Redis' answer began with, if it answered.
 *
 * The cause is a copy without ioredis' `command`, whose arguments hold passwords and rows.
 */
export function describeRedisError(error: unknown, where: string): TidemarkError | undefined {
  if (!(error instanceof Error) || isTidemarkError(error)) return undefined
  if (error.name === 'ReplyError') return describeReply(error, where)
  const { lastNodeError } = error as { lastNodeError?: unknown }
  if (lastNodeError instanceof Error) return describeRedisError(lastNodeError, where)

  const options = { cause: withoutCommand(error), details: { where } }
  const { code, syscall } = error as { code?: unknown; syscall?: unknown }
  if (typeof code === 'string' && CERTIFICATE.test(code)) {
    const advice =
      'Check rediss:// against redis://, and that this machine trusts the certificate: NODE_EXTRA_CA_CERTS=ca.pem names an authority of your own.'
    return new ConnectionError(`${where} cannot be reached over TLS: ${error.message.trim()}. ${advice}`, { ...options, retryable: false })
  }
  if (typeof syscall === 'string' || (typeof code === 'string' && NETWORK.test(code)) || LOST.test(error.message)) {
    // What a client meets that speaks without TLS to a server that has it, or has no certificate to show: such a server says nothing.
    const advice = syscall === 'write' ? ' Does it want TLS (rediss://), or a certificate of its clients?' : ''
    return new ConnectionError(`${where} cannot be reached, or dropped the connection: ${reason(error)}.${advice}`, options)
  }
  return undefined
}

/** `Redis at host:port`, as messages name what a client of ioredis is connected to; never with its password. */
export function redisAddress(client: unknown): string {
  const { options, isCluster } = client as {
    isCluster?: boolean
    options?: { host?: string; port?: number; path?: string; sentinels?: unknown; name?: string }
  }
  if (isCluster) return 'The Redis Cluster'
  if (options?.sentinels) return `Redis ${options.name ?? ''} of the given sentinels`
  return `Redis at ${options?.path ?? `${options?.host ?? 'localhost'}:${options?.port ?? 6379}`}`
}

function describeReply(error: Error, where: string): TidemarkError {
  const said = textOf(error)
  const [reply = ''] = said.split(' ', 1)
  const options = { cause: withoutCommand(error), details: { where, reply } }
  const passing = PASSING[reply]
  if (passing !== undefined) return new ConnectionError(`${where} ${passing}. It says: ${said}`, options)
  switch (reply) {
    case 'WRONGPASS':
      return new AuthError(`${where} refused the user name or the password: ${said}`, options)
    case 'NOAUTH':
      return new AuthError(`${where} asks for a password and none was given: redis://user:password@host:port. It says: ${said}`, options)
    case 'NOPERM':
      return new AuthError(`${where} does not let this user do what is needed: ${said}. Widen its rights (ACL SETUSER).`, options)
    case 'DENIED':
      return new AuthError(`${where} refused the connection: ${said}`, options)
    case 'MOVED':
    case 'ASK':
      return new ConfigError(`${where} is a node of a Redis Cluster. Give a client for it: { client: new Cluster([…]) }.`, options)
    case 'CROSSSLOT':
      return new UnsupportedError(
        `${where} keeps these keys on several nodes of a cluster, and one step cannot write them: ${said}`,
        options,
      )
    case 'WRONGTYPE':
      return new ConfigError(
        `${where} holds something of another application under a key of ours: ${said}. Choose another prefix.`,
        options,
      )
    default:
      return describeGeneral(said, where, options)
  }
}

/** Answers that begin with nothing but `ERR` are known by their words, which have been the same since Redis 6. */
function describeGeneral(
  said: string,
  where: string,
  options: { cause: unknown; details: { where: string; reply: string } },
): TidemarkError {
  if (/invalid password|invalid username-password|user executing the script can't|no permissions/i.test(said)) {
    return new AuthError(`${where} refused the credentials, or their rights do not reach: ${said}`, options)
  }
  if (/max number of clients/i.test(said)) return new ConnectionError(`${where} has no connection left: ${said}`, options)
  if (/DB index is out of range|invalid DB index/i.test(said)) return new ConfigError(`${where} has no such database: ${said}`, options)
  if (/^NOPROTO|unknown command|unknown subcommand|unknown Redis command/i.test(said)) {
    return new UnsupportedError(`${where} lacks what is needed: ${said}. Redis 6 or newer has it.`, options)
  }
  return new ConnectionError(`${where} says: ${said}`, { ...options, retryable: false })
}

/** Redis 6 wraps what a script met; and it repeats the arguments of a command it does not know, a password among them. */
function textOf({ message }: Error): string {
  const unwrapped = message.replace(/^ERR Error running script .*?@user_script: ?\d+: -?/, '')
  return unwrapped.replace(/,? with args beginning with:.*/s, '')
}

function reason(error: Error): string {
  // A host with several addresses fails with one error for each and no message of its own.
  const inner =
    error instanceof AggregateError ? error.errors.map(each => (each instanceof Error ? each.message : String(each))).join(', ') : ''
  return (error.message || inner || error.name).replace(/\.$/, '')
}

function withoutCommand(error: Error): Error {
  const { name } = error
  const { code } = error as { code?: unknown }
  const copy = Object.assign(new Error(textOf(error)), { name, ...(code !== undefined && { code }) })
  if (error.stack !== undefined) copy.stack = error.stack.replace(error.message, copy.message)
  return copy
}
