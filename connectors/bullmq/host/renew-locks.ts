import { redisScript } from '../../../src/util/redis-script.ts'
import type { ControlLine } from '../control-line.ts'
import { type JobKeys, lockKey } from '../keys.ts'
import type { HeldPack } from './held-pack.ts'

/** Keys: the locks. Arguments: how long they are to live, ms; their tokens. Gives the places of those that are somebody else's, or gone. */
const RENEW = redisScript(`
local lost = {}
for at = 1, #KEYS do
  if redis.call('GET', KEYS[at]) == ARGV[at + 1] then redis.call('PEXPIRE', KEYS[at], ARGV[1])
  else lost[#lost + 1] = at end
end
return lost
`)

/**
 * Renews the locks of packs and gives those whose lock is not theirs any more. Not by BullMQ: its connection waits for a Redis that is away, and its
 * `extendJobLocks` is not in every version that may be installed (5.60 has none).
 */
export async function renewLocks(
  line: ControlLine,
  { keys, executor, lockMs }: { readonly keys: JobKeys; readonly executor: string; readonly lockMs: number },
  packs: readonly HeldPack[],
): Promise<HeldPack[]> {
  const locks = packs.map(({ id }) => lockKey(keys, executor, id))
  const lost = (await line.run(RENEW, locks, [String(lockMs), ...packs.map(({ token }) => token)])) as number[]
  return packs.filter((_, at) => lost.includes(at + 1))
}
