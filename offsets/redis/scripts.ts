import { redisScript } from '../../src/util/redis-script.ts'

/**
 * The fields of a head, in the order in which they are read. Every value stays text in Lua, whose numbers print 14 digits
 * (`cjson.encode(9007199254740991)` gives `9.007199254741e+15`).
 */
export const HEAD_FIELDS = [
  'layout',
  'version',
  'lastWrite',
  'birth',
  'streamId',
  'epoch',
  'owner',
  'renewedAt',
  'ttlMs',
  'lastBatchId',
  'lastCommittedId',
  'lastSeq',
  'retired',
] as const

/** `unpack` overflows Lua's stack at 8,000 values. Even, for values that go in pairs. */
const CHUNK = 4_000

/**
 * Reads a stream in one step, with the server's clock. KEYS: head, offsets, pending. ARGV: `pending` or ``, then `all` or, as a JSON array of texts, the
 * fields of the offsets that are asked for. Gives: seconds, microseconds, head, pending, and the offsets as a JSON array: of fields and values, or of
 * the values that were asked for. One long text goes through a client many times as fast as ten thousand short ones.
 */
export const READ = redisScript(`
  local time = redis.call('TIME')
  local head = redis.call('HMGET', KEYS[1], '${HEAD_FIELDS.join("', '")}')
  if not head[1] then return {time[1], time[2], false, false, '[]'} end
  local pending = ARGV[1] == 'pending' and redis.call('GET', KEYS[3])
  if ARGV[2] == 'all' then
    local all = redis.call('HGETALL', KEYS[2])
    return {time[1], time[2], head, pending, #all == 0 and '[]' or cjson.encode(all)}
  end
  local fields, offsets = cjson.decode(ARGV[2]), {}
  for from = 1, #fields, ${CHUNK} do
    for _, offset in ipairs(redis.call('HMGET', KEYS[2], unpack(fields, from, math.min(from + ${CHUNK - 1}, #fields)))) do
      offsets[#offsets + 1] = offset or 'null'
    end
  end
  return {time[1], time[2], head, pending, '[' .. table.concat(offsets, ',') .. ']'}
`)

/**
 * Applies steps if the head is still of the version that they were decided on, and says whether it was. KEYS: head, offsets, pending, history, marks,
 * and for a restore the two that were staged. ARGV: the version ('' where there is no stream), then steps, each a name and its arguments, lists as a
 * JSON array of texts.
 *
 * Redis does not roll a script back, so nothing in here may fail once something was written: {@link PREPARE} has asked for every right and type before,
 * and memory that runs out in between no longer counts once a script has begun to write.
 */
export const WRITE = redisScript(`
  if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
  local lists = {
    head = {'HSET', 1}, offsets = {'HSET', 2}, forget = {'HDEL', 2}, history = {'ZADD', 4}, marks = {'ZADD', 5},
  }
  local at = 2
  local function take()
    at = at + 1
    return ARGV[at - 1]
  end
  local function now()
    local time = redis.call('TIME')
    return time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
  end
  if ARGV[at] == 'adopt' then
    take()
    local history, marks = take(), take()
    if tostring(redis.call('ZCARD', KEYS[6])) ~= history or tostring(redis.call('ZCARD', KEYS[7])) ~= marks then return 2 end
    for kept = 4, 5 do
      if redis.call('EXISTS', KEYS[kept + 2]) == 1 then
        redis.call('RENAME', KEYS[kept + 2], KEYS[kept])
        redis.call('PERSIST', KEYS[kept])
      end
    end
  end
  while at <= #ARGV do
    local step = take()
    if lists[step] then
      local command, key, values = lists[step][1], KEYS[lists[step][2]], cjson.decode(take())
      for from = 1, #values, ${CHUNK} do
        redis.call(command, key, unpack(values, from, math.min(from + ${CHUNK - 1}, #values)))
      end
    elseif step == 'renew' then
      redis.call('HSET', KEYS[1], 'renewedAt', now())
    elseif step == 'begin' then
      redis.call('SET', KEYS[3], take())
    elseif step == 'keep' then
      local seq, before, after = take(), take(), take()
      redis.call('ZADD', KEYS[4], seq, before .. now() .. after .. redis.call('GET', KEYS[3]) .. '}')
    elseif step == 'settle' then
      redis.call('DEL', KEYS[3])
    elseif step == 'trim' then
      redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. take())
    elseif step == 'drop' then
      redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
    end
  end
  return 1
`)

/** A page of the history, newest first. KEYS: head, history, marks. ARGV: before, limit. Gives: the stream's birth, then up to `limit` of each. */
export const PAGE = redisScript(`
  local page = {redis.call('HGET', KEYS[1], 'birth')}
  for key = 2, 3 do
    for _, entry in ipairs(redis.call('ZREVRANGEBYSCORE', KEYS[key], '(' .. ARGV[1], '-inf', 'LIMIT', 0, ARGV[2])) do
      page[#page + 1] = entry
    end
  end
  return page
`)

/** Lays a piece of a history down. KEYS: where. ARGV: seconds that it stays if nothing comes of it, then pairs of seq and entry. */
export const STAGE = redisScript(`
  for from = 2, #ARGV, ${CHUNK} do redis.call('ZADD', KEYS[1], unpack(ARGV, from, math.min(from + ${CHUNK - 1}, #ARGV))) end
  redis.call('EXPIRE', KEYS[1], ARGV[1])
`)

/**
 * Fails where {@link WRITE} would fail in its middle: for a user who may HSET and not ZADD it would move the offsets and leave the batch begun. So it
 * sends every command that writes, to a key made for that, and looks at the type of each key. KEYS: head, offsets, pending, history, marks, and one to
 * try on. Gives: nothing, or the key that holds something else.
 */
export const PREPARE = redisScript(`
  for key, type in ipairs({'hash', 'hash', 'string', 'zset', 'zset'}) do
    local found = redis.call('TYPE', KEYS[key])['ok']
    if found ~= 'none' and found ~= type then return KEYS[key] end
  end
  local trial = KEYS[6]
  redis.call('UNLINK', trial)
  redis.call('HSET', trial, 'a', 'b')
  redis.call('HDEL', trial, 'a')
  redis.call('SET', trial, 'a')
  redis.call('DEL', trial)
  redis.call('ZADD', trial, 1, 'a')
  redis.call('EXPIRE', trial, 60)
  redis.call('PERSIST', trial)
  redis.call('RENAME', trial, trial)
  redis.call('ZREMRANGEBYSCORE', trial, '-inf', '(2')
  redis.call('ZCARD', trial)
  return false
`)
