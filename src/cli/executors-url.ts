import { readFileSync } from 'node:fs'
import { ConfigError, errorMessage } from '../core/errors.ts'
import type { RedisTls } from '../util/redis-line.ts'
import { loadOptional } from './load-optional.ts'
import { showUrl, takeParameters } from './url-parameters.ts'

/** The Redis over which the executors of a job and its driver find each other, as the command line names it. */
export type ExecutorsUrl = {
  /** Without parameters of ours. It may hold a password, so no message holds it. */
  readonly url: string
  readonly prefix: string | undefined
  /** What the files hold that it names. */
  readonly tls: RedisTls | undefined
  /** Without user and password: for messages. */
  readonly shown: string
  /** Loads the connector and its clients. @throws ConfigError where they are not installed */
  readonly load: () => Promise<typeof import('../../connectors/bullmq/index.ts')>
}

const FORMS =
  'redis://host:6379 or rediss://user:password@host:6380?ca=ca.pem (and cert=, key=), with prefix=name where several installations share a Redis'

/** Reads `--executors`, or `TIDEMARK_EXECUTORS` in its place; undefined where neither is given. @throws ConfigError */
export function findExecutorsUrl(option: string | undefined): ExecutorsUrl | undefined {
  if (option !== undefined) return parseExecutorsUrl(option, '--executors')
  const { TIDEMARK_EXECUTORS: fromEnvironment = '' } = process.env
  return fromEnvironment === '' ? undefined : parseExecutorsUrl(fromEnvironment, 'TIDEMARK_EXECUTORS')
}

/** `origin` is where a mistake is to be mended. @throws ConfigError */
export function parseExecutorsUrl(url: string, origin: string): ExecutorsUrl {
  const kind = /^([a-z]+):/i.exec(url)?.[1]?.toLowerCase()
  if (kind === undefined) throw new ConfigError(`${origin} is not a URL. It is ${FORMS}.`)
  if (kind !== 'redis' && kind !== 'rediss')
    throw new ConfigError(`${origin} is a URL of kind ${kind}:, and executors meet on a Redis: ${FORMS}.`)
  const { rest, taken } = takeParameters(url, ['prefix', ...FILES])
  if (!URL.canParse(rest) || new URL(rest).hostname === '') throw new ConfigError(`${origin} names no host. It is ${FORMS}.`)
  const prefix = taken.get('prefix')
  if (prefix === '') throw new ConfigError(`${origin} has an empty prefix. Leave ?prefix= out, or name one.`)
  const load = () => loadOptional(origin, ['bullmq', 'ioredis'], () => import('../../connectors/bullmq/index.ts'))
  return { url: rest, prefix, tls: readTls(taken, origin), shown: showUrl(kind, rest, taken), load }
}

/** Files of certificates that the URL may name, as PEM. */
const FILES = ['ca', 'cert', 'key'] as const

function readTls(taken: ReadonlyMap<string, string>, origin: string): RedisTls | undefined {
  const found = FILES.flatMap(name => {
    const path = taken.get(name)
    return path === undefined ? [] : [[name, readPem(path, name, origin)] as const]
  })
  return found.length === 0 ? undefined : Object.fromEntries(found)
}

function readPem(path: string, name: string, origin: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError(`${origin} names a file in ${name}= that cannot be read: ${errorMessage(error)}.`, { cause: error })
  }
}

/** What functions of the connector take of it. */
export function connectionOf({ url, prefix, tls }: ExecutorsUrl) {
  return { url, ...(prefix !== undefined && { prefix }), ...(tls !== undefined && { tls }) }
}
