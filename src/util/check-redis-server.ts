import { ConfigError, isTidemarkError } from '../core/errors.ts'
import { mastersOf, type RedisClient, type RedisNode } from './redis-client.ts'
import { describeRedisError } from './redis-error.ts'

type Settings = { readonly policy: string | undefined; readonly appendOnly: boolean | undefined }

/**
 * Refuses servers that throw keys away when memory is short, and says what else may lose `what` (offsets, a ledger); in a cluster each master
 * counts. Policies that evict only keys with a time to live are fine, for these keys have none. The sequence it prevents: another application fills the memory, Redis evicts
 * the offsets of a stream that stands still, and its next driver finds no stream and begins at `startingOffsets`: all over again, or at the end.
 *
 * Throws `ConfigError` with what to set.
 */
export async function checkRedisServer(client: RedisClient, where: string, what: string, warn: (message: string) => void): Promise<void> {
  const settings = await Promise.all(mastersOf(client).map(node => readSettings(node, where)))
  const evicting = settings.find(({ policy }) => policy?.startsWith('allkeys'))?.policy
  if (evicting !== undefined) {
    throw new ConfigError(
      `${where} drops any key when its memory is full (maxmemory-policy ${evicting}), ${what} too. Set maxmemory-policy to noeviction in redis.conf ` +
        'and with CONFIG SET, or use a Redis of its own for it.',
      { details: { where, policy: evicting } },
    )
  }
  if (settings.some(({ policy }) => policy === undefined)) {
    warn(
      `${where} lets this user see neither INFO nor CONFIG GET maxmemory-policy. Make sure that it is noeviction, or ${what} can be lost.`,
    )
  }
  if (settings.some(({ appendOnly }) => appendOnly === false)) {
    warn(
      `${where} keeps no append-only file: when it crashes, ${what} go back to its last snapshot. Set appendonly yes and appendfsync always (or everysec).`,
    )
  }
}

/** By INFO, which most users may see; by CONFIG GET where they may not, or where INFO does not say. */
async function readSettings(node: RedisNode, where: string): Promise<Settings> {
  const [memory, persistence] = await Promise.all([ask(node, 'info', ['memory'], where), ask(node, 'info', ['persistence'], where)])
  const policy = /^maxmemory_policy:(\S+)/m.exec(String(memory))?.[1]
  const aof = /^aof_enabled:(\d)/m.exec(String(persistence))?.[1]
  return {
    policy: policy ?? (await readConfig(node, 'maxmemory-policy', where)),
    appendOnly: aof === undefined ? undefined : aof === '1',
  }
}

async function readConfig(node: RedisNode, name: string, where: string): Promise<string | undefined> {
  const answer = await ask(node, 'config', ['get', name], where)
  // A client that maps RESP3 gives an object.
  const values = Array.isArray(answer) ? answer.slice(1) : Object.values(answer ?? {})
  return values.length === 0 ? undefined : String(values[0])
}

/** The answer, or undefined where this user may not ask or the service does not have the command, as many hosted ones. */
async function ask(node: RedisNode, command: string, args: string[], where: string): Promise<unknown> {
  try {
    return await node.call(command, args)
  } catch (error) {
    const described = describeRedisError(error, where)
    const isRefused = described?.details.reply === 'NOPERM' || isTidemarkError(described, 'UNSUPPORTED')
    if (isRefused) return undefined
    throw error
  }
}
