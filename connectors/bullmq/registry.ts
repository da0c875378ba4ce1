import { redisScript } from '../../src/util/redis-script.ts'
import type { ControlLine } from './control-line.ts'
import type { JobKeys } from './keys.ts'
import type { ExecutorInfo, RunInfo } from './messages.ts'

/** How long after its last heartbeat an executor is forgotten, and not only taken for dead, ms. */
const FORGET_AFTER_MS = 60_000
/** How long a cancelled job is remembered, whose executor asks several times a second, and a run whose driver died, ms. */
const CANCELLED_FOR_MS = 600_000

/** How long after its last look a driver is taken to live, ms. */
const LIVE_MS = 3_000

/** Keys: executors, executorInfo, runs, cancelled. Arguments: id, info, ids of the queue jobs it works on. */
const BEAT = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local cancelled = {}
for at = 3, #ARGV do
  if redis.call('ZSCORE', KEYS[4], ARGV[at]) then cancelled[#cancelled + 1] = ARGV[at] end
end
return { string.format('%d', now), redis.call('HGETALL', KEYS[3]), cancelled }
`)

/**
 * Keys as above. Arguments: stream, run info (or nothing: then nothing is changed), ids of queue jobs to cancel. A run does not take the place of a live
 * one of the same stream that has a higher epoch: its driver is to find that one there.
 */
const LOOK = redisScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function isNewer(entry, run)
  if not entry or now - tonumber(string.match(entry, '^%d+')) > ${LIVE_MS} then return false end
  local other = cjson.decode(string.sub(entry, string.find(entry, '|', 1, true) + 1))
  return other.streamId == run.streamId and type(other.epoch) == 'number' and type(run.epoch) == 'number' and other.epoch > run.epoch
end
local forgotten = {}
if ARGV[2] ~= '' then
  if not isNewer(redis.call('HGET', KEYS[3], ARGV[1]), cjson.decode(ARGV[2])) then
    redis.call('HSET', KEYS[3], ARGV[1], string.format('%d', now) .. '|' .. ARGV[2])
  end
  for at = 3, #ARGV do redis.call('ZADD', KEYS[4], now, ARGV[at]) end
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - ${CANCELLED_FOR_MS})
  forgotten = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ${FORGET_AFTER_MS})
  for _, id in ipairs(forgotten) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
  end
  local runs = redis.call('HGETALL', KEYS[3])
  for at = 1, #runs, 2 do
    if now - tonumber(string.match(runs[at + 1], '^%d+')) > ${CANCELLED_FOR_MS} then redis.call('HDEL', KEYS[3], runs[at]) end
  end
end
return {
  string.format('%d', now),
  redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES'),
  redis.call('HGETALL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]),
  forgotten
}
`)

/** Keys: executorInfo. Argument: id. It stays among those last seen until it is forgotten, and its queue with it, in which reports may still lie. */
const LEAVE = redisScript(`redis.call('HDEL', KEYS[1], ARGV[1])`)

/** Keys: runs. Arguments: stream, run info. Only a run's own entry: another driver may have taken the stream over. */
const END = redisScript(`
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if entry and string.sub(entry, string.find(entry, '|', 1, true) + 1) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
`)

/** An executor as others see it. `silentForMs` is by Redis' clock, so no machine's own counts. Info of another version is given as it is. */
export type SeenExecutor = { readonly info: ExecutorInfo; readonly silentForMs: number }
export type SeenRun = { readonly info: RunInfo; readonly silentForMs: number }

/** Who there is, in one look. */
export type Look = {
  /** By Redis' clock, ms since the epoch. */
  readonly now: number
  readonly executors: readonly SeenExecutor[]
  readonly runs: readonly SeenRun[]
  /** Executors that this look has forgotten, and no other will name again: what is left of their queues is to be removed. */
  readonly forgotten: readonly string[]
}

/** Where the executors of a job and its drivers find each other. Times are Redis'. */
export class Registry {
  readonly #line: ControlLine
  readonly #keys: readonly string[]

  constructor(line: ControlLine, keys: JobKeys) {
    this.#line = line
    this.#keys = [keys.executors, keys.executorInfo, keys.runs, keys.cancelled]
  }

  /** An executor's heartbeat: it lives, works on these queue jobs, and hears which of them nobody waits for, and who runs the job. */
  async beat(
    info: ExecutorInfo,
    working: readonly string[],
    signal?: AbortSignal,
  ): Promise<{ readonly cancelled: readonly string[]; readonly runs: readonly SeenRun[] }> {
    const [now, runs, cancelled] = (await this.#line.run(BEAT, this.#keys, [info.id, JSON.stringify(info), ...working], signal)) as [
      string,
      unknown,
      string[],
    ]
    return { cancelled, runs: readRuns(runs, Number(now)) }
  }

  /** A driver's look at who there is; it says that it lives itself, and which queue jobs it waits for no more. */
  async look(run: RunInfo, cancelled: readonly string[], signal?: AbortSignal): Promise<Look> {
    return this.#look([run.stream, JSON.stringify(run), ...cancelled], signal)
  }

  /** A look by somebody who takes no part. */
  async watch(signal?: AbortSignal): Promise<Look> {
    return this.#look(['', ''], signal)
  }

  async leave(executor: string, signal?: AbortSignal): Promise<void> {
    await this.#line.run(LEAVE, this.#keys.slice(1, 2), [executor], signal)
  }

  /** A run is over, and nobody is to wait for it: `run` as it was told last. */
  async end(run: RunInfo, signal?: AbortSignal): Promise<void> {
    await this.#line.run(END, this.#keys.slice(2, 3), [run.stream, JSON.stringify(run)], signal)
  }

  async #look(args: readonly string[], signal: AbortSignal | undefined): Promise<Look> {
    const answer = await this.#line.run(LOOK, this.#keys, args, signal)
    const [now, seen, infos, runs, forgotten] = answer as [string, unknown, unknown, unknown, string[]]
    const lastSeen = new Map(readPairs(seen))
    const executors = readPairs(infos).flatMap(([id, text]): SeenExecutor[] => {
      const at = lastSeen.get(id)
      return at === undefined ? [] : [{ info: JSON.parse(text), silentForMs: Math.max(0, Number(now) - Number(at)) }]
    })
    executors.sort((a, b) => (a.info.id < b.info.id ? -1 : 1))
    return { now: Number(now), executors, runs: readRuns(runs, Number(now)), forgotten }
  }
}

function readRuns(reply: unknown, now: number): SeenRun[] {
  return readPairs(reply).map(([, text]) => {
    const bar = text.indexOf('|')
    return { info: JSON.parse(text.slice(bar + 1)), silentForMs: Math.max(0, now - Number(text.slice(0, bar))) }
  })
}

/** A flat list of names and values, or what a client with RESP3 makes of it. */
function readPairs(reply: unknown): [string, string][] {
  if (!Array.isArray(reply)) return Object.entries(reply ?? {}).map(([name, value]) => [name, String(value)])
  if (Array.isArray(reply[0])) return reply.map(([name, value]) => [String(name), String(value)])
  return Array.from({ length: reply.length / 2 }, (_, at) => [String(reply[at * 2]), String(reply[at * 2 + 1])])
}
