import type { RedisTarget } from '../../src/util/redis-line.ts'

type Node = { readonly host?: string; readonly port?: number | string; readonly path?: string }
type ClientOptions = Node & {
  readonly db?: number
  readonly sentinels?: readonly Node[]
  readonly name?: string
  readonly keyPrefix?: string
}
type Client = { readonly isCluster?: boolean; readonly options?: ClientOptions; readonly startupNodes?: readonly unknown[] }

/**
 * Which Redis, and what of it, as the driver and its executors compare it: servers, database, what keys begin with. Never a user or a password. Undefined
 * where nobody can tell.
 */
export function describeTarget(target: RedisTarget, what: string): string | undefined {
  const where = 'url' in target ? describeUrl(target.url) : describeClient(target.client as Client)
  return where && `${where}, ${what}`
}

function describeUrl(text: string): string | undefined {
  const url = new URL(text)
  // Odd characters of a password that was not encoded have become part of what follows it.
  if (url.hash !== '' || url.pathname.includes('@')) return undefined
  const database = url.pathname.slice(1) || url.searchParams.get('db') || 0
  return `${showNode({ host: url.hostname, port: url.port })}/${database}`
}

function describeClient({ isCluster, options = {}, startupNodes }: Client): string | undefined {
  const { db = 0, sentinels, name = '', keyPrefix } = options
  const under = keyPrefix ? ` under ${keyPrefix}` : ''
  if (isCluster === true) {
    const nodes = startupNodes?.map(showStartupNode)
    return nodes === undefined || nodes.includes(undefined) ? undefined : `cluster of ${nodes.sort().join(',')}${under}`
  }
  if (sentinels) return `${name} of sentinels ${sentinels.map(showNode).sort().join(',')}/${db}${under}`
  return `${showNode(options)}/${db}${under}`
}

/** ioredis takes a node of a cluster as a port, a URL, or its options. */
function showStartupNode(node: unknown): string | undefined {
  if (typeof node === 'number') return showNode({ port: node })
  if (typeof node === 'object' && node !== null) return showNode(node)
  const text = String(node)
  if (/^\d+$/.test(text)) return showNode({ port: text })
  const url = text.includes('//') ? text : `redis://${text}`
  if (!URL.canParse(url)) return undefined
  const { hostname, port } = new URL(url)
  return showNode({ host: hostname, port })
}

function showNode({ path, host, port }: Node): string {
  return path ?? `${host || 'localhost'}:${port || 6379}`
}
