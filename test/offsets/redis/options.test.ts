import { expect, test } from 'vitest'
import { redisOffsets } from '../../../offsets/redis/index.ts'

test.for([
  [{ url: undefined }, /url is undefined: is REDIS_URL set\?/],
  [{ url: 'localhost:6379' }, /url is "localhost:6379": expected a URL: redis:\/\//],
  [{ url: 'redis://user:hunter2@host:port' }, /url is a string with credentials that is not shown/],
  [{ url: 'redis://localhost', prefix: '' }, /prefix is an empty string: expected non-empty text/],
  [{ url: 'redis://localhost', prefx: 'a' }, /prefx is not an option: did you mean prefix\?/],
  [{ client: {} }, /client is an object: expected a Redis or a Cluster of ioredis/],
  [{ url: 'redis://localhost', log: console.log }, /log is a function: expected a log/],
  [{}, /url is undefined/],
] as const)('the options %j are refused when the store is made', ([options, message]) => {
  const thrown = expect.objectContaining({ code: 'CONFIG', message: expect.stringMatching(message) })
  expect(() => redisOffsets(options as never)).toThrow(thrown)
})

test('a password in a wrong URL reaches no message', () => {
  for (const url of ['redis://user:hunter2@host:port', 'http://user:hunter2@host', 'redis//user:hunter2@host']) {
    try {
      redisOffsets({ url })
      expect.fail(`${url} was accepted`)
    } catch (error) {
      expect(String(error)).not.toContain('hunter2')
    }
  }
})
