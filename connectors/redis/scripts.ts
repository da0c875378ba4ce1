import { redisScript } from '../../src/util/redis-script.ts'

/**
 * Applies rows `from` to `until` of a task, if no one has, together with the ledger's note of it. Redis runs a script alone and does not roll it back, so
 * all that could refuse it is asked before the first write: the ledger, the fence, the type of each key; rights were tried at the start
 * ({@link TRY}), and memory that runs out no longer counts once a script has begun to write. The ledger comes last: should something fail all the same,
 * rows come twice and are not lost.
 *
 * KEYS: fence, ledger, then those of the rows. ARGV: epoch, batch, the ledger's field, range, from, until, 1 where that is all of the task, the type of the
 * keys, the stream's id; then commands, each: the number of its key, how many values, name, values. Numbers stay text, but for batches, which are compared.
 *
 * Gives `applied`, or `written`, or `fenced`, or `conflict` with the other range, or `rows` with how many are in, or `type` with a key and what it holds.
 */
export const APPLY = redisScript(`
  local rows = '0'
  local entry = redis.call('HGET', KEYS[2], ARGV[3])
  if entry then
    local applied, isAll, range = string.match(entry, '^(%d+) (%d) (.*)$')
    if range ~= ARGV[4] then return {'conflict', range} end
    if isAll == '1' then return {'applied'} end
    rows = applied
  end
  local fence = redis.call('HMGET', KEYS[1], 'epoch', 'lastBegun', 'lastComplete', 'streamId')
  local batch = tonumber(ARGV[2])
  if fence[1] ~= ARGV[1] or fence[4] ~= ARGV[9] or batch > tonumber(fence[2]) or batch <= tonumber(fence[3]) then return {'fenced'} end
  if rows ~= ARGV[5] then return {'rows', rows} end
  for key = 3, #KEYS do
    local found = redis.call('TYPE', KEYS[key])['ok']
    if found ~= 'none' and found ~= ARGV[8] then return {'type', KEYS[key], found} end
  end
  local at = 10
  while at <= #ARGV do
    local key, count = KEYS[tonumber(ARGV[at])], tonumber(ARGV[at + 1])
    if count == 0 then
      redis.call(ARGV[at + 2], key)
    else
      redis.call(ARGV[at + 2], key, unpack(ARGV, at + 3, at + 2 + count))
    end
    at = at + 3 + count
  end
  redis.call('HSET', KEYS[2], ARGV[3], ARGV[6] .. ' ' .. ARGV[7] .. ' ' .. ARGV[4])
  return {'written'}
`)

/**
 * Raises the fence if it is still the one that the decision was about, and takes away ledger entries that nobody asks for any more. Scripts run one after
 * another, so what comes behind it sees the new fence: that is the barrier. KEYS: fence, ledger. ARGV: the fence as it was, as one text ('' for none);
 * stream id, epoch, owner, last begun, last complete; entries up to this batch go; those above this one too. Gives 1, or 0 where the fence is another.
 */
export const RAISE = redisScript(`
  local row = redis.call('HMGET', KEYS[1], 'streamId', 'epoch', 'owner', 'lastBegun', 'lastComplete')
  local found = ''
  if row[1] then found = table.concat(row, '\\n') end
  if found ~= ARGV[1] then return 0 end
  redis.call('HSET', KEYS[1], 'streamId', ARGV[2], 'epoch', ARGV[3], 'owner', ARGV[4], 'lastBegun', ARGV[5], 'lastComplete', ARGV[6])
  local upTo, above = tonumber(ARGV[7]), tonumber(ARGV[8])
  for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
    local batch = tonumber(string.match(field, '^(%d+):'))
    if batch <= upTo or batch > above then redis.call('HDEL', KEYS[2], field) end
  end
  return 1
`)

/** Reads by a script: a client of a Cluster that reads from replicas would send the bare command to one, which may lag. KEYS: one. ARGV: the command, the rest. */
export const LOOK = redisScript(`
  return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))
`)

/**
 * Finds what {@link APPLY} would fail on in its middle: for a user who may HSET and not XADD it would write some of a task's rows. KEYS: one to try on.
 * ARGV: commands as in {@link APPLY}, without the number of a key. Gives nothing, or the command that was refused and why.
 */
export const TRY = redisScript(`
  local at = 1
  local refused
  while at <= #ARGV and not refused do
    local count = tonumber(ARGV[at])
    local answer
    redis.call('DEL', KEYS[1])
    if count == 0 then
      answer = redis.pcall(ARGV[at + 1], KEYS[1])
    else
      answer = redis.pcall(ARGV[at + 1], KEYS[1], unpack(ARGV, at + 2, at + 1 + count))
    end
    if type(answer) == 'table' and answer.err then refused = {ARGV[at + 1], answer.err} end
    at = at + 2 + count
  end
  redis.call('DEL', KEYS[1])
  return refused
`)
