import { redisScript } from '../../../src/util/redis-script.ts'
import type { ControlLine } from '../control-line.ts'
import { type JobKeys, lockKey, queueKeys } from '../keys.ts'

/** Where a pack is: an id in an executor's queue. */
export type PackPlace = { readonly id: string; readonly executor: string }

/** What Redis holds of a pack's job. */
export type PackState =
  /** Not there: never added, or Redis has lost it. */
  | { readonly state: 'gone' }
  | { readonly state: 'waiting' }
  | { readonly state: 'running' }
  /** Begun, and nobody renews its lock any more. */
  | { readonly state: 'orphaned' }
  /** `report` is the JSON that its executor returned. */
  | { readonly state: 'completed'; readonly report: string }
  /** Its executor failed before it could report. */
  | { readonly state: 'failed'; readonly reason: string }

/** What of an executor's queue is taken up, by whatever driver. */
export type QueueLoad = { readonly waiting: number; readonly active: number }

/** Keys: job and lock of each pack, then wait and active of each executor. Argument: how many packs. */
const LOOK = redisScript(`
local packs = {}
for at = 1, tonumber(ARGV[1]) do
  local job = redis.call('HMGET', KEYS[2 * at - 1], 'timestamp', 'processedOn', 'finishedOn', 'failedReason', 'returnvalue')
  if not job[1] then packs[at] = { 'gone' }
  elseif job[3] and job[4] then packs[at] = { 'failed', job[4] }
  elseif job[3] then packs[at] = { 'completed', job[5] or 'null' }
  elseif redis.call('EXISTS', KEYS[2 * at]) == 1 then packs[at] = { 'running' }
  elseif job[2] then packs[at] = { 'orphaned' }
  else packs[at] = { 'waiting' } end
end
local loads = {}
for at = 2 * ARGV[1] + 1, #KEYS do loads[#loads + 1] = redis.call('LLEN', KEYS[at]) end
return { packs, loads }
`)

/**
 * Keys: wait and job of each pack. Arguments: their ids. BullMQ's own remove does not do: of a job that was ended in between it removes the report, and
 * says the same as of one that nobody had begun.
 */
const TAKE_BACK = redisScript(`
local taken = {}
for at, id in ipairs(ARGV) do
  taken[at] = redis.call('LREM', KEYS[2 * at - 1], 1, id)
  if taken[at] == 1 then redis.call('DEL', KEYS[2 * at]) end
end
return taken
`)

/**
 * Keys: job, lock, active, completed, failed and wait of each pack. Arguments: their ids. One that was begun and has no lock is nobody's: left among the active
 * ones, it would take up a slot of an executor that was stopped for a while and woke up.
 */
const FORGET = redisScript(`
local held = {}
for at, id in ipairs(ARGV) do
  local key = 6 * (at - 1)
  held[at] = redis.call('EXISTS', KEYS[key + 2])
  if held[at] == 0 then
    redis.call('LREM', KEYS[key + 3], 0, id)
    redis.call('ZREM', KEYS[key + 4], id)
    redis.call('ZREM', KEYS[key + 5], id)
    redis.call('LREM', KEYS[key + 6], 0, id)
    redis.call('DEL', KEYS[key + 1])
  end
end
return held
`)

/** Keys: wait and active of each executor. Arguments: stream, epoch, nonce of the run that asks, then each queue's key without its last part. */
const SWEEP = redisScript(`
local working = {}
local function isOlder(queue, id)
  local epoch, nonce = string.match(id, '^(%d+)%-%d+%-%d+%-%d+%-(%w+)$')
  return epoch and tonumber(epoch) <= tonumber(ARGV[2]) and nonce ~= ARGV[3] and redis.call('HGET', queue .. ':' .. id, 'name') == ARGV[1]
end
for at = 1, #KEYS / 2 do
  local queue = ARGV[3 + at]
  for _, id in ipairs(redis.call('LRANGE', KEYS[2 * at - 1], 0, -1)) do
    if isOlder(queue, id) then
      redis.call('LREM', KEYS[2 * at - 1], 1, id)
      redis.call('DEL', queue .. ':' .. id)
    end
  end
  for _, id in ipairs(redis.call('LRANGE', KEYS[2 * at], 0, -1)) do
    if isOlder(queue, id) then working[#working + 1] = id end
  end
end
return working
`)

/** What a driver asks and does about packs in one step each, however many there are. Errors are the line's. */
export class PackScripts {
  readonly #line: ControlLine
  readonly #keys: JobKeys

  constructor(line: ControlLine, keys: JobKeys) {
    this.#line = line
    this.#keys = keys
  }

  /** Where packs stand, and how full queues are, in the order given. */
  async look(
    packs: readonly PackPlace[],
    executors: readonly string[],
  ): Promise<{ readonly packs: PackState[]; readonly loads: QueueLoad[] }> {
    const jobs = packs.flatMap(({ id, executor }) => [queueKeys(this.#keys, executor).job(id), lockKey(this.#keys, executor, id)])
    const [states, lengths] = (await this.#line.run(LOOK, [...jobs, ...this.#listsOf(executors)], [String(packs.length)])) as [
      (readonly [PackState['state'], string])[],
      number[],
    ]
    return {
      packs: states.map(([state, text]): PackState => {
        if (state === 'completed') return { state, report: text }
        return state === 'failed' ? { state, reason: text } : { state }
      }),
      loads: executors.map((_, at) => ({ waiting: lengths[2 * at] ?? 0, active: lengths[2 * at + 1] ?? 0 })),
    }
  }

  /** Removes those that nobody has begun, so that they will not run, and says which. */
  async takeBack<Pack extends PackPlace>(packs: readonly Pack[]): Promise<Pack[]> {
    if (packs.length === 0) return []
    const keys = packs.flatMap(({ id, executor }) => {
      const { wait, job } = queueKeys(this.#keys, executor)
      return [wait, job(id)]
    })
    const taken = (await this.#line.run(
      TAKE_BACK,
      keys,
      packs.map(({ id }) => id),
    )) as number[]
    return packs.filter((_, at) => taken[at] === 1)
  }

  /**
   * Removes packs that nobody waits for any more, and says which are still held by an executor: those stay. BullMQ's own limits count by age only when
   * the next pack of the queue ends.
   */
  async forget<Place extends PackPlace>(packs: readonly Place[]): Promise<Place[]> {
    if (packs.length === 0) return []
    const keys = packs.flatMap(({ id, executor }) => {
      const { job, active, completed, failed, wait } = queueKeys(this.#keys, executor)
      return [job(id), lockKey(this.#keys, executor, id), active, completed, failed, wait]
    })
    const held = (await this.#line.run(
      FORGET,
      keys,
      packs.map(({ id }) => id),
    )) as number[]
    return packs.filter((_, at) => held[at] === 1)
  }

  /** Removes what an earlier driver of a stream has left waiting, and gives the ids of what is being worked on for it. */
  async sweep(
    run: { readonly stream: string; readonly epoch: number; readonly nonce: string },
    executors: readonly string[],
  ): Promise<string[]> {
    const queues = executors.map(executor => `${this.#keys.queuePrefix}:${executor}`)
    return (await this.#line.run(SWEEP, this.#listsOf(executors), [run.stream, String(run.epoch), run.nonce, ...queues])) as string[]
  }

  #listsOf(executors: readonly string[]): string[] {
    return executors.flatMap(executor => {
      const { wait, active } = queueKeys(this.#keys, executor)
      return [wait, active]
    })
  }
}
