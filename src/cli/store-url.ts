import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { loadOptional } from './load-optional.ts'
import { showUrl, takeParameters } from './url-parameters.ts'

/** A store as the command line names it. */
export type StoreUrl = {
  /** Without user, password and what else its parameters may hold: for messages and notes. */
  readonly shown: string
  /** Connects nothing. */
  readonly open: () => Promise<OffsetStore>
}

const FORMS =
  'sqlite:path/to/offsets.db, postgres://user@host/database, redis://host:6379, zookeeper://host:2181,host:2181/root or kafka://host:9092/topic'

/**
 * Reads the URL of a store; each kind is loaded only where its URL asks for it. `origin` is where a mistake is to be mended: a URL may hold a password,
 * so no message holds a URL. Throws `ConfigError`.
 */
export function parseStoreUrl(url: string, origin: string): StoreUrl {
  const kind = /^([a-z]+):/i.exec(url)?.[1]?.toLowerCase()
  switch (kind) {
    case 'sqlite': {
      const path = url.slice('sqlite:'.length).replace(/^\/\/(?=[^/])/, '')
      if (path === '') throw new ConfigError(`${origin} names no file after sqlite:. Write sqlite:path/to/offsets.db.`)
      return { shown: `sqlite:${path}`, open: async () => (await import('../../offsets/sqlite/index.ts')).sqliteOffsets({ path }) }
    }
    case 'postgres':
    case 'postgresql': {
      // Not `schema`: other tools put one of their own into the same URL, and the tables would land in theirs.
      const { rest, taken } = takeParameters(url, ['tidemark_schema'])
      const schema = taken.get('tidemark_schema')
      return {
        shown: showUrl(kind, rest, taken),
        open: () =>
          loadOptional('A postgres: store', ['pg'], async () => {
            const { postgresOffsets } = await import('../../offsets/postgres/index.ts')
            return postgresOffsets({ connectionString: rest, ...(schema !== undefined && { schema }) })
          }),
      }
    }
    case 'redis':
    case 'rediss': {
      const { rest, taken } = takeParameters(url, ['prefix'])
      const prefix = taken.get('prefix')
      return {
        shown: showUrl(kind, rest, taken),
        open: () =>
          loadOptional(`A ${kind}: store`, ['ioredis'], async () => {
            const { redisOffsets } = await import('../../offsets/redis/index.ts')
            return redisOffsets({ url: rest, ...(prefix !== undefined && { prefix }) })
          }),
      }
    }
    case 'zookeeper': {
      const { servers, path, login } = parseServers(url, kind, origin)
      return {
        shown: `zookeeper://${servers.join(',')}${path === undefined ? '' : `/${path}`}`,
        open: () =>
          loadOptional('A zookeeper: store', ['node-zookeeper-client'], async () => {
            const { zookeeperOffsets } = await import('../../offsets/zookeeper/index.ts')
            return zookeeperOffsets({
              connect: servers.join(','),
              ...(path !== undefined && { root: `/${path}` }),
              ...(login !== undefined && { auth: { scheme: 'digest', auth: `${login.username}:${login.password}` } }),
            })
          }),
      }
    }
    case 'kafka': {
      const { servers, path, login, parameters } = parseServers(url, kind, origin)
      return {
        shown: `kafka://${servers.join(',')}${path === undefined ? '' : `/${path}`}`,
        open: async () => {
          const { kafkaOffsets } = await import('../../offsets/kafka/index.ts')
          const ssl = parameters.get('ssl') === 'true'
          const mechanism = parameters.get('mechanism') ?? 'plain'
          const kafka = { brokers: servers, ssl, ...(login !== undefined && { sasl: { mechanism, ...login } as never }) }
          return kafkaOffsets({ kafka, ...(path !== undefined && { topic: path }) })
        },
      }
    }
    default:
      throw new ConfigError(
        `${origin} ${kind === undefined ? 'is not a URL' : `names a store of kind ${kind}:, which is not known`}. It is a URL such as ${FORMS}.`,
      )
  }
}

type Login = { readonly username: string; readonly password: string }

/** `kind://user:password@host:port,host:port/path?parameters`, which URL of the language does not read: it has several hosts. */
function parseServers(
  url: string,
  kind: string,
  origin: string,
): {
  readonly servers: string[]
  readonly path: string | undefined
  readonly login: Login | undefined
  readonly parameters: URLSearchParams
} {
  const match = /^[a-z]+:\/\/(?:([^/?]*)@)?([^@/?]*)(?:\/([^?]*))?(?:\?(.*))?$/i.exec(url)
  const servers = (match?.[2] ?? '').split(',').filter(server => server !== '')
  if (match === null || servers.length === 0) {
    throw new ConfigError(`${origin} names no server. Write it as ${kind}://host:port,host:port/${kind === 'kafka' ? 'topic' : 'root'}.`)
  }
  const [, user, , path, query] = match
  const [username = '', ...password] = user?.split(':') ?? []
  return {
    servers,
    path: path === undefined || path === '' ? undefined : decodeURIComponent(path),
    login: user === undefined ? undefined : { username: decodeURIComponent(username), password: decodeURIComponent(password.join(':')) },
    parameters: new URLSearchParams(query ?? ''),
  }
}
