import { redisScript } from '../../../src/util/redis-script.ts'
import type { ControlLine } from '../control-line.ts'
import { type JobKeys, lockKey, queueKeys } from '../keys.ts'

/** Keys: active, job, lock. Argument: the pack's id. */
const FORGET = redisScript(`
if redis.call('EXISTS', KEYS[3]) == 1 then return end
redis.call('LREM', KEYS[1], 0, ARGV[1])
redis.call('DEL', KEYS[2])
`)

/** Takes a pack that nobody holds any more out of its executor's queue: its driver finds it gone, as it would have found it without a lock. */
export async function forgetPack(line: ControlLine, keys: JobKeys, executor: string, pack: string): Promise<void> {
  const { active, job } = queueKeys(keys, executor)
  await line.run(FORGET, [active, job(pack), lockKey(keys, executor, pack)], [pack])
}
