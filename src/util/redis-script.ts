import { createHash } from 'node:crypto'
import { errorMessage } from '../core/errors.ts'
import type { RedisClient } from './redis-client.ts'

/** A Lua script as Redis runs it: by its hash, and by its text where the server does not know it (yet, or any more). */
export type RedisScript = { readonly text: string; readonly sha: string }

export function redisScript(text: string): RedisScript {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Runs a script by its hash, and by its text where the server does not have it: after a restart, a fail-over, or SCRIPT FLUSH. */
export async function runRedisScript(
  client: RedisClient,
  script: RedisScript,
  keys: readonly string[],
  args: readonly (string | Buffer)[],
): Promise<unknown> {
  const rest = [keys.length, ...keys, ...args]
  try {
    return await client.call('evalsha', [script.sha, ...rest])
  } catch (error) {
    if (!errorMessage(error).startsWith('NOSCRIPT')) throw error
    return await client.call('eval', [script.text, ...rest])
  }
}
