import { describe, expect, test } from 'vitest'
import { retryAfterOf } from '../../../src/core/errors.ts'
import { type Act, Endpoint } from './endpoint.ts'
import { httpTask, ids, openSink } from './http-task.ts'

/** Answers the first requests so, and takes the rest. */
const first = (...acts: Act[]) => ({ act: (_: unknown, number: number) => acts[number] ?? 'take' })

describe('an answer that may be another the next time', () => {
  test.each<[string, Act]>([
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['429', { status: 429 }],
    ['408', { status: 408 }],
    ['425', { status: 425 }],
    ['a connection that is reset', { reset: true }],
    ['an answer that breaks off', { breakOff: true }],
  ])('%s: the request goes out again with the same key and rows, and waits that grow', async (_, act) => {
    await using endpoint = await Endpoint.open(first(act, act, act))
    await using opened = await openSink({ url: endpoint.url, breakAfter: 100 })
    await opened.write(10)
    expect(endpoint.rows).toEqual(ids(10))
    expect(endpoint.received).toHaveLength(4)
    expect(new Set(endpoint.received.map(({ key, text }) => `${key} ${text}`)).size).toBe(1)
    const [one = 0, two = 0, three = 0] = opened.clock.naps
    expect(one).toBeGreaterThanOrEqual(100)
    expect(two).toBeGreaterThanOrEqual(200)
    expect(three).toBeGreaterThanOrEqual(400)
    expect(opened.clock.naps).toHaveLength(3)
  })

  test('an endpoint that says when to come back is asked no earlier', async () => {
    await using endpoint = await Endpoint.open(
      first(
        { status: 429, headers: { 'retry-after': '7' } },
        { status: 503, headers: { 'retry-after': new Date(Date.now() + 12_000).toUTCString() } },
      ),
    )
    await using opened = await openSink({ url: endpoint.url })
    await opened.write()
    const [seconds = 0, date = 0] = opened.clock.naps
    expect(seconds).toBe(7_000)
    // The clock has moved on by the nap before, and a date has whole seconds.
    expect(date).toBeGreaterThan(0)
    expect(date).toBeLessThanOrEqual(12_000)
    expect(endpoint.rows).toEqual(ids(10))
  })

  test('one that wants to be left alone for longer than a task should wait is left alone by all of them', async () => {
    await using endpoint = await Endpoint.open(first({ status: 429, headers: { 'retry-after': '60' }, body: 'slow down' }))
    await using opened = await openSink({ url: endpoint.url })
    const error = await opened.write().catch(thrown => thrown)
    expect(error).toMatchObject({
      code: 'CONNECTION',
      retryable: true,
      message: expect.stringMatching(/is away: 429 Too Many Requests: slow down\. /),
    })
    expect(retryAfterOf(error)).toBeGreaterThan(59_000)
    expect(opened.clock.naps).toEqual([])
    await expect(opened.write(10, httpTask({ index: 4 }))).rejects.toThrow('is away')
    expect(endpoint.received).toHaveLength(1)
  })

  test('a request that fails as often as it may be tried hands its task back, with its rows and the last answer', async () => {
    await using endpoint = await Endpoint.open({ act: () => ({ status: 500, body: 'no\tdisk\u001b[31m' }) })
    await using opened = await openSink({ url: endpoint.url, attempts: 3, breakAfter: 100, maxRowsPerRequest: 4 })
    await expect(opened.write()).rejects.toMatchObject({
      code: 'CONNECTION',
      retryable: true,
      message: `http://localhost:${endpoint.port} did not take rows 1 to 4 of orders/3 [120, 180) (batch 7) of output http:api in 3 attempts: 500 Internal Server Error: no disk [31m`,
      details: { topic: 'orders', partition: 3, firstRow: 1, lastRow: 4, chunk: 0 },
    })
    expect(endpoint.received).toHaveLength(3)
  })

  test('an endpoint that does not answer in time is tried again', async () => {
    await using endpoint = await Endpoint.open(first('hang'))
    await using opened = await openSink({ url: endpoint.url, timeoutMs: 100 })
    await opened.write()
    expect(endpoint.rows).toEqual(ids(10))
    expect(endpoint.received).toHaveLength(2)
  })

  test('one that never does says so', async () => {
    await using endpoint = await Endpoint.open({ act: () => 'hang' })
    await using opened = await openSink({ url: endpoint.url, timeoutMs: 50, attempts: 1 })
    await expect(opened.write()).rejects.toThrow(/in 1 attempt: no answer within 50 ms \(timeoutMs\)$/)
  })
})

describe('a request that was worked on although its answer was lost', () => {
  test.each<[string, Act]>([
    ['the connection was reset', { reset: true, takes: true }],
    ['the answer broke off', { breakOff: true, takes: true }],
    ['a proxy in between gave up', { status: 504, takes: true }],
  ])('comes again with its key when %s: an endpoint that honours keys has its rows once', async (_, act) => {
    await using endpoint = await Endpoint.open({ act: (_request, number) => (number % 2 === 0 ? act : 'take') })
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 3, honoursKeys: true })
    await opened.write(10)
    expect(endpoint.rowsByKey).toEqual(ids(10))
    // One that knows no keys has them twice: at-least-once.
    expect(endpoint.rows).toHaveLength(20)
  })

  test('is waited for where the endpoint says by 409 that it is still at it', async () => {
    await using endpoint = await Endpoint.open(first('hang', { status: 409, headers: { 'retry-after': '1' } }))
    await using opened = await openSink({ url: endpoint.url, timeoutMs: 100, honoursKeys: true })
    await opened.write()
    expect(endpoint.rows).toEqual(ids(10))
    expect(opened.clock.naps[1]).toBeGreaterThanOrEqual(1_000)
    await using strict = await openSink({ url: endpoint.url })
    endpoint.act = () => ({ status: 409 })
    await expect(strict.write()).rejects.toMatchObject({ code: 'RECORD' })
  })
})

describe('an answer that would be the same again', () => {
  const refusals: [number, string, RegExp][] = [
    [
      400,
      'RECORD',
      /refused rows 1 to 10 of orders\/3 \[120, 180\) \(batch 7\) of output http:api with 400 Bad Request: bad row\. .* The first row of the request is row 1\.$/,
    ],
    [422, 'RECORD', /with 422 Unprocessable Entity: bad row/],
    [401, 'AUTH', /with 401 Unauthorized: bad row\. Look at headers/],
    [403, 'AUTH', /Look at headers/],
    [404, 'CONFIG', /Look at url and method/],
    [405, 'CONFIG', /Look at url and method/],
    [413, 'CONFIG', /the body has 91 bytes\. Lower maxBytesPerRequest or maxRowsPerRequest/],
    [415, 'UNSUPPORTED', /content-type in headers/],
  ]
  test.each(refusals)('%i is said at once, with the rows and the endpoint’s own words', async (status, code, message) => {
    await using endpoint = await Endpoint.open({ act: () => ({ status, body: 'bad row' }) })
    await using opened = await openSink({ url: endpoint.url })
    const error = await opened.write().catch(thrown => thrown)
    expect(error).toMatchObject({ code, retryable: false, message: expect.stringMatching(message) })
    expect(error.details).toMatchObject({ status, partition: 3, firstRow: 1, lastRow: 10, output: 'http:api' })
    expect(endpoint.received).toHaveLength(1)
  })

  test.each([301, 302, 303, 307, 308])('a redirect by %i is followed nowhere', async status => {
    await using other = await Endpoint.open()
    await using endpoint = await Endpoint.open({ act: () => ({ status, headers: { location: `${other.url}?token=secret-token` } }) })
    await using opened = await openSink({ url: endpoint.url })
    await expect(opened.write()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(
        new RegExp(`elsewhere with ${status} .*, to http://localhost:${other.port}\\. Redirects are not followed`),
      ),
    })
    expect(other.received).toEqual([])
  })

  test('the words of an endpoint are cut where they are long', async () => {
    await using endpoint = await Endpoint.open({ act: () => ({ status: 400, body: `<html>\n${'x'.repeat(100_000)}` }) })
    await using opened = await openSink({ url: endpoint.url })
    const error = await opened.write().catch(thrown => thrown)
    expect(error.message).toContain('<html> xxxx')
    expect(error.message.length).toBeLessThan(600)
  })
})

describe('an attempt that follows another in the same process', () => {
  test('goes on behind what the endpoint has taken: one that knows no keys has those rows once', async () => {
    await using endpoint = await Endpoint.open({ act: (_, number) => (number === 2 ? { status: 503 } : 'take') })
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 2, attempts: 1 })
    await expect(opened.write(10)).rejects.toThrow('503')
    expect(endpoint.rows).toEqual(ids(4))
    await opened.write(10, httpTask({ epoch: 2 }))
    expect(endpoint.rows).toEqual(ids(10))
    // A task that has ended does not come again, unless somebody wants its rows again.
    await opened.write(10)
    expect(endpoint.rows).toEqual([...ids(10), ...ids(10)])
  })

  test('sends rows again that are others than before: what is passed over is the very same', async () => {
    await using endpoint = await Endpoint.open({ act: (_, number) => (number === 1 ? { status: 503 } : 'take') })
    let salt = 0
    await using opened = await openSink({
      url: endpoint.url,
      maxRowsPerRequest: 5,
      attempts: 1,
      body: rows => JSON.stringify([salt, ...rows]),
    })
    await expect(opened.write(10)).rejects.toThrow('503')
    salt = 1
    await opened.write(10)
    const [first, second] = [ids(10).slice(0, 5), ids(10).slice(5)]
    expect(endpoint.rows).toEqual([0, ...first, 1, ...first, 1, ...second])
  })
})
