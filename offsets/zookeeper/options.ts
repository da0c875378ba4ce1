import { z } from 'zod'
import { parseOptions } from '../../src/util/parse-options.ts'
import type { ZookeeperClient } from './zookeeper-client.ts'

/** Proof of who this is, as ZooKeeper's `addAuth` takes it: `{ scheme: 'digest', auth: 'user:password' }`. */
export type ZookeeperAuth = { readonly scheme: string; readonly auth: string }

/** An ensemble by its address. */
export type ZookeeperAddress = {
  /** `host:port,host:port/chroot`. The chroot is made if it is not there. */
  readonly connect: string | undefined
  /** `{ scheme: 'digest', auth: 'user:password' }`. @default none */
  readonly auth?: ZookeeperAuth
  /** A connection without a sign of life for two thirds of it counts as gone, ms; the server bounds it by its tick time. @default 10_000 */
  readonly sessionTimeoutMs?: number
}

/** What `zookeeperOffsets` takes: where ZooKeeper is, or a client of node-zookeeper-client that the caller has already and closes. */
export type ZookeeperOffsetsOptions = (ZookeeperAddress | { readonly client: ZookeeperClient }) & {
  /** The node that everything lies under; made if it is not there. @default '/tidemark' */
  readonly root?: string
  /** Who may touch the nodes that the store makes: whoever made them, or everybody. @default 'creator' with `auth`, else 'open' */
  readonly acl?: 'creator' | 'open'
  /** How many entries of a stream's history stay, beside its starts and resets. ZooKeeper holds them in memory. @default 100_000 */
  readonly historyEntries?: number
}

const UNSET = 'is ZOOKEEPER_CONNECT set? Or pass { client }, a client of node-zookeeper-client'
const FORM = "expected 'host:port,host:port/chroot'"
const PATH = /^(\/(?!\.{1,2}(\/|$))[^/\0]+)+$/
const CONNECT = /^[^/,:@\s]+(:\d{1,5})?(,[^/,:@\s]+(:\d{1,5})?)*(\/.*)?$/

const common = {
  root: z.string().regex(PATH, { error: "expected a path such as '/tidemark'" }).default('/tidemark'),
  acl: z.enum(['creator', 'open']).optional(),
  historyEntries: z.number().int().min(1_000, { error: 'expected a whole number from 1000' }).default(100_000),
}
const text = z.string().min(1, { error: "expected text, as in { scheme: 'digest', auth: 'user:password' }" })

const withAddress = z.strictObject({
  connect: z
    .string({ error: issue => (issue.input === undefined ? UNSET : FORM) })
    .refine(connect => CONNECT.test(connect) && isPath(splitConnect(connect).chroot), { error: FORM }),
  auth: z.strictObject({ scheme: text, auth: text }).optional(),
  sessionTimeoutMs: z
    .number()
    .int()
    .min(500, { error: 'expected a whole number of milliseconds from 500' })
    .max(2 ** 31 - 1)
    .default(10_000),
  ...common,
})
const withClient = z.strictObject({
  client: z.custom<ZookeeperClient>(isClient, { error: "expected a client of node-zookeeper-client, such as createClient('host:2181')" }),
  ...common,
})

/** Where the ensemble is. */
export type ZookeeperSource =
  | { readonly servers: string; readonly auth: ZookeeperAuth | undefined; readonly sessionTimeoutMs: number }
  | { readonly client: ZookeeperClient }

/** The options with every default in. `base` is the node that everything lies under, the chroot in front. */
export type CompleteZookeeperOptions = {
  readonly source: ZookeeperSource
  readonly base: string
  readonly acl: 'creator' | 'open'
  readonly historyEntries: number
}

/** Checks and completes the options. @throws ConfigError listing every mistake with its path */
export function completeOptions(options: ZookeeperOffsetsOptions): CompleteZookeeperOptions {
  if (typeof options === 'object' && options !== null && 'client' in options) {
    const { client, root, acl = 'open', historyEntries } = parseOptions(withClient, options, 'zookeeperOffsets')
    return { source: { client }, base: root, acl, historyEntries }
  }
  const { connect, auth, sessionTimeoutMs, root, historyEntries, ...rest } = parseOptions(withAddress, options, 'zookeeperOffsets')
  const { acl = auth === undefined ? 'open' : 'creator' } = rest
  const { servers, chroot } = splitConnect(connect)
  return { source: { servers, auth, sessionTimeoutMs }, base: chroot + root, acl, historyEntries }
}

function splitConnect(connect: string): { readonly servers: string; readonly chroot: string } {
  const slash = connect.indexOf('/')
  if (slash === -1) return { servers: connect, chroot: '' }
  return { servers: connect.slice(0, slash), chroot: connect.slice(slash).replace(/\/$/, '') }
}

function isPath(path: string): boolean {
  return path === '' || PATH.test(path)
}

function isClient(value: unknown): boolean {
  const used = ['connect', 'getState', 'on', 'removeListener', 'transaction', 'exists', 'getData', 'getChildren']
  return typeof value === 'object' && value !== null && used.every(name => typeof Reflect.get(value, name) === 'function')
}
