import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { connectionOf, findExecutorsUrl, parseExecutorsUrl } from '../../../src/cli/executors-url.ts'

describe('the URL of executors', () => {
  test('keeps what is the client’s, and takes the prefix out', () => {
    expect(parseExecutorsUrl('rediss://me:p%40ss@cache:6380/2?family=6&prefix=blue', '--executors')).toMatchObject({
      url: 'rediss://me:p%40ss@cache:6380/2?family=6',
      prefix: 'blue',
      shown: 'rediss://cache:6380/2?prefix=blue',
    })
    expect(parseExecutorsUrl('redis://cache', '--executors')).toMatchObject({ url: 'redis://cache', prefix: undefined })
  })

  test.for([
    ['cache:6379', /names|kind cache:|not a URL/],
    ['postgres://me:swordfish@host/db', /is a URL of kind postgres:, and executors meet on a Redis: redis:\/\/host:6379/],
    ['redis://', /names no host/],
    ['redis://me:swordfish@cache?prefix=', /empty prefix/],
    ['rediss://me:swordfish@cache?ca=/no/such.pem', /a file in ca= that cannot be read: ENOENT.*such\.pem/],
  ] as const)('%s is refused, without what may be a password', ([url, message]) => {
    const refuse = () => parseExecutorsUrl(url, '--executors')
    expect(refuse).toThrow(message)
    expect(refuse).not.toThrow(/swordfish/)
  })

  test('gives what the files of certificates hold that it names', () => {
    const ca = fileURLToPath(import.meta.url)
    const url = parseExecutorsUrl(`rediss://cache?${new URLSearchParams({ ca })}`, '--executors')
    expect(connectionOf(url)).toEqual({ url: 'rediss://cache', tls: { ca: readFileSync(ca, 'utf8') } })
  })

  test('is that of the environment where no option gives one', () => {
    const before = process.env.TIDEMARK_EXECUTORS
    try {
      process.env.TIDEMARK_EXECUTORS = 'redis://of-the-environment'
      expect(findExecutorsUrl(undefined)?.url).toBe('redis://of-the-environment')
      expect(findExecutorsUrl('redis://of-the-option')?.url).toBe('redis://of-the-option')
      delete process.env.TIDEMARK_EXECUTORS
      expect(findExecutorsUrl(undefined)).toBeUndefined()
    } finally {
      if (before !== undefined) process.env.TIDEMARK_EXECUTORS = before
    }
  })
})
