import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeRedisError, redisAddress } from '../../../src/util/redis-error.ts'
import { services } from '../../support/services.ts'

let client: Redis
beforeAll(() => {
  client = new Redis(services().redis)
})
afterAll(() => client.disconnect())

/** What Redis itself says, described. */
async function describeReal(command: string, args: (string | number)[]) {
  const error = await client.call(command, args).catch((thrown: unknown) => thrown)
  return describeRedisError(error, redisAddress(client))
}

/** As ioredis throws what a server answers. */
function reply(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError', command: { name: 'auth', args: ['hunter2'] } })
}

test.for([
  ['LOADING Redis is loading the dataset in memory', 'CONNECTION', true],
  ['CLUSTERDOWN Hash slot not served', 'CONNECTION', true],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'CONNECTION', true],
  ["READONLY You can't write against a read only replica.", 'CONNECTION', true],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'CONNECTION', true],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'CONNECTION', true],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist to disk.', 'CONNECTION', true],
  ['ERR max number of clients reached', 'CONNECTION', true],
  ['ERR something that nobody has seen', 'CONNECTION', false],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'AUTH', false],
  ['NOAUTH Authentication required.', 'AUTH', false],
  ["NOPERM this user has no permissions to run the 'zadd' command", 'AUTH', false],
  ["ERR The user executing the script can't run this command or subcommand script: a1, on @user_script:3.", 'AUTH', false],
  ['ERR Error running script (call to f_a1): @user_script:3: -NOPERM this user has no permissions', 'AUTH', false],
  ['ERR Error running script (call to f_a1): @user_script: 3: OOM command not allowed', 'CONNECTION', true],
  ['MOVED 3999 127.0.0.1:6381', 'CONFIG', false],
  ["CROSSSLOT Keys in request don't hash to the same slot", 'UNSUPPORTED', false],
] as const)('%j is of code %s', ([message, code, retryable]) => {
  expect(describeRedisError(reply(message), 'Redis at a:1')).toMatchObject({
    code,
    retryable,
    message: expect.stringContaining('Redis at a:1'),
  })
})

test('what the server says of a wrong type, a wrong script and an unknown command is told apart', async () => {
  const key = `error-${process.pid}`
  await client.set(key, 'text')
  expect(await describeReal('hget', [key, 'a'])).toMatchObject({ code: 'CONFIG', details: { reply: 'WRONGTYPE' } })
  expect(await describeReal('eval', ["return redis.call('HGET', KEYS[1], 'a')", 1, key])).toMatchObject({ code: 'CONFIG' })
  expect(await describeReal('eval', ['return nothing.at_all', 0])).toMatchObject({ code: 'CONNECTION', retryable: false })
  expect(await describeReal('tidemark.nothing', ['hunter2'])).toMatchObject({ code: 'UNSUPPORTED' })
  await client.del(key)
})

test('no argument of a command is in an error, nor in its cause', async () => {
  const real = await describeReal('tidemark.nothing', ['hunter2'])
  const made = describeRedisError(reply('WRONGPASS invalid'), 'Redis at a:1')
  for (const error of [real, made]) {
    expect(error?.cause).toBeInstanceOf(Error)
    expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
  }
})

test.for([
  [Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:6379'), { code: 'ECONNREFUSED', syscall: 'connect' }), true],
  [Object.assign(new AggregateError([new Error('connect ECONNREFUSED ::1:6379')]), { code: 'ECONNREFUSED' }), true],
  [new Error('Connection is closed.'), true],
  [Object.assign(new Error('Reached the max retries per request limit (which is 20).'), { name: 'MaxRetriesPerRequestError' }), true],
  [new Error('All sentinels are unreachable. Retrying from scratch after 10ms.'), true],
  [new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 1 a:1'), true],
  [Object.assign(new Error('self-signed certificate'), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), false],
] as const)('a connection that is lost or not made is retryable, unless its certificate is wrong: %s', ([error, retryable]) => {
  expect(describeRedisError(error, 'Redis at a:1')).toMatchObject({ code: 'CONNECTION', retryable })
})

test('what every node of a cluster said is what the cluster says', () => {
  const failed = Object.assign(new Error('Failed to refresh slots cache.'), { name: 'ClusterAllFailedError' })
  const refused = Object.assign(failed, { lastNodeError: reply('WRONGPASS invalid username-password pair') })
  expect(describeRedisError(refused, 'The Redis Cluster')).toMatchObject({ code: 'AUTH' })
})

test('an error of somebody else is not described', () => {
  for (const error of [new TypeError('a bug'), 'text', undefined]) expect(describeRedisError(error, 'Redis at a:1')).toBeUndefined()
})

test('a connection that ends at the first thing that is written asks whether TLS was meant', () => {
  const reset = Object.assign(new Error('write ECONNRESET'), { code: 'ECONNRESET', syscall: 'write' })
  expect(describeRedisError(reset, 'Redis at a:1')?.message).toMatch(/write ECONNRESET\. Does it want TLS \(rediss:\/\/\)/)
  const lost = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' })
  expect(describeRedisError(lost, 'Redis at a:1')?.message).not.toMatch(/TLS/)
})
