import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { idempotencyKey } from '../../../connectors/http/idempotency-key.ts'
import { httpSink } from '../../../connectors/http/index.ts'
import { Endpoint } from './endpoint.ts'
import { httpTask, ids, openSink, type Row } from './http-task.ts'

afterEach(() => vi.unstubAllEnvs())

describe('rows over HTTP', () => {
  test('go by POST as a JSON array, so many in a request, one request after another, over one connection', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: `${endpoint.url}?a=1`, maxRowsPerRequest: 3 })
    const before = endpoint.connections
    await opened.write(10)
    await opened.write(10, httpTask({ index: 4 }))
    expect(endpoint.received.slice(0, 4)).toMatchObject([
      { method: 'POST', path: '/orders?a=1', text: '[{"id":0},{"id":1},{"id":2}]' },
      { text: '[{"id":3},{"id":4},{"id":5}]' },
      { text: '[{"id":6},{"id":7},{"id":8}]' },
      { text: '[{"id":9}]' },
    ])
    expect(endpoint.received[0]?.headers).toMatchObject({ 'content-type': 'application/json', 'content-length': '28' })
    expect(endpoint.rows).toEqual([...ids(10), ...ids(10)])
    expect(endpoint.mostAtOnce).toBe(1)
    expect(endpoint.connections - before).toBe(1)
  })

  test('go as lines of JSON, by another method, compressed', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url, method: 'PUT', body: 'ndjson', compression: 'gzip' })
    await opened.write(3)
    expect(endpoint.received).toMatchObject([
      {
        method: 'PUT',
        text: '{"id":0}\n{"id":1}\n{"id":2}\n',
        headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
      },
    ])
  })

  test('go as the job wants them, under its own content-type', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({
      url: endpoint.url,
      body: rows => `<rows>${rows.map(({ id }) => `<row id="${id}"/>`).join('')}</rows>`,
      headers: { 'Content-Type': 'application/xml' },
    })
    await opened.write(2)
    expect(endpoint.received).toMatchObject([
      { text: '<rows><row id="0"/><row id="1"/></rows>', headers: { 'content-type': 'application/xml' } },
    ])
  })

  test('tell of each request that was taken, for one array of them may take long', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 1 })
    let progress = 0
    const onProgress = () => {
      progress += 1
    }
    async function* oneArray() {
      yield ids(7)
    }
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    await opened.sink.write(httpTask(), oneArray(), { signal: new AbortController().signal, log, onProgress })
    expect(progress).toBe(7)
  })

  test('of a task without any make no request', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url })
    await opened.write(0)
    expect(endpoint.received).toEqual([])
  })

  test('of large bodies arrive whole', async () => {
    await using endpoint = await Endpoint.open()
    const text = 'é'.repeat(4_000_000)
    await using opened = await openSink({ url: endpoint.url, maxBytesPerRequest: 16_000_000, body: () => text })
    await opened.write(1)
    expect(endpoint.received[0]?.text === text).toBe(true)
  })

  test('go side by side where their order does not matter, and no more than so many', async () => {
    const atOnce = Promise.withResolvers<'take'>()
    await using endpoint = await Endpoint.open({ act: () => atOnce.promise })
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 1, ordering: 'none', concurrency: 3 })
    const written = opened.write(9)
    await endpoint.untilReceived(3)
    atOnce.resolve('take')
    await written
    expect(endpoint.mostAtOnce).toBe(3)
    expect(endpoint.rows.toSorted((a, b) => (a as Row).id - (b as Row).id)).toEqual(ids(9))
  })

  test('one request that is refused ends the others, and the task ends after them', async () => {
    await using endpoint = await Endpoint.open({ act: (_, number) => (number === 2 ? { status: 400 } : 'hang') })
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 1, ordering: 'none', concurrency: 3 })
    await expect(opened.write(9)).rejects.toMatchObject({ code: 'RECORD' })
    expect(endpoint.received).toHaveLength(3)
  })

  test('an abort ends a request that hangs, and a wait between two', async () => {
    await using endpoint = await Endpoint.open({ act: () => 'hang' })
    await using opened = await openSink({ url: endpoint.url })
    const over = new AbortController()
    const written = opened.write(10, httpTask(), over.signal)
    await endpoint.untilReceived(1)
    over.abort(new Error('enough'))
    await expect(written).rejects.toThrow('enough')
    await expect(opened.write(10, httpTask(), over.signal)).rejects.toThrow('enough')
    expect(endpoint.received).toHaveLength(1)
  })

  test('what fails before a row is there fails the task, with nothing sent', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url })
    const { signal } = new AbortController()
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    async function* failing(): AsyncGenerator<Row[]> {
      yield [{ id: 1 }]
      throw new Error('no more rows')
    }
    await expect(opened.sink.write(httpTask(), failing(), { signal, log })).rejects.toThrow('no more rows')
    expect(endpoint.received).toEqual([])
  })

  test('a kept connection that the server has closed costs no attempt', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url, attempts: 1, maxRowsPerRequest: 1 })
    await opened.write(1)
    let isFirst = true
    endpoint.act = () => {
      if (!isFirst) return 'take'
      isFirst = false
      return { reset: true }
    }
    await opened.write(1, httpTask({ index: 4 }))
    expect(endpoint.rows).toHaveLength(2)
    expect(opened.clock.naps).toEqual([])
  })

  test('go through a proxy where Node was told to use one', async () => {
    const asked: string[] = []
    const proxy = createServer((request, response) => {
      asked.push(request.url ?? '')
      request.resume().on('end', () => response.end())
    })
    await new Promise<void>(resolve => proxy.listen(0, 'localhost', resolve))
    vi.stubEnv('NODE_USE_ENV_PROXY', '1')
    vi.stubEnv('HTTP_PROXY', `http://localhost:${(proxy.address() as AddressInfo).port}`)
    await using opened = await openSink({ url: 'http://api.invalid/orders' })
    await opened.write(1)
    expect(asked).toEqual(['http://api.invalid/orders'])
    proxy.closeAllConnections()
    proxy.close()
  })
})

describe('the key of a request', () => {
  test('is the same for the same rows at every attempt, under another epoch and in another process, and of no others', async () => {
    await using endpoint = await Endpoint.open()
    for (const epoch of [1, 2]) {
      await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 4 })
      await opened.write(10, httpTask({ epoch }))
    }
    const keys = endpoint.received.map(({ key }) => key)
    expect(keys.slice(3)).toEqual(keys.slice(0, 3))
    expect(keys.slice(0, 3)).toEqual(['1-4', '5-8', '9-10'].map(rows => expect.stringMatching(new RegExp(`^[0-9a-f]{12}-7-3-${rows}$`))))
    await using opened = await openSink({ url: endpoint.url, maxRowsPerRequest: 4 })
    for (const other of [httpTask({ batchId: 8 }), httpTask({ index: 4 }), { ...httpTask(), output: 'b' }, { ...httpTask(), stream: 'c' }])
      await opened.write(10, other)
    expect(new Set(endpoint.received.map(({ key }) => key)).size).toBe(3 + 4 * 3)
    expect(endpoint.rowsByKey).toHaveLength(5 * 10)
  })

  test('stays as it is from one release to the next: a batch may be begun by one and run again by the other', () => {
    expect(idempotencyKey('id-of-orders', httpTask(), { firstRow: 1, lastRow: 500 })).toBe('779c9eeef594-7-3-1-500')
  })

  test('is of rows, so an endpoint that honours keys loses none when the limits change between two attempts', async () => {
    await using endpoint = await Endpoint.open({ act: (_, number) => (number === 2 ? { status: 400 } : 'take') })
    await using small = await openSink({ url: endpoint.url, maxRowsPerRequest: 2 })
    await expect(small.write(10)).rejects.toMatchObject({ code: 'RECORD' })
    await using large = await openSink({ url: endpoint.url, maxRowsPerRequest: 4 })
    await large.write(10)
    expect(new Set(endpoint.rowsByKey.map(row => (row as Row).id)).size).toBe(10)
  })

  test('is of a stream by what its store calls it, so a stream that was made anew has others', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url })
    await opened.write(1)
    const log = { debug() {}, info() {}, warn() {}, error() {} }
    const context = { stream: 'orders', streamId: 'another', output: 'http:api', signal: new AbortController().signal, log }
    await opened.sink.open?.(context)
    await opened.write(1)
    expect(endpoint.byKey.size).toBe(2)
  })

  test('goes under the name that the endpoint knows it by', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url, keyHeader: 'X-Request-Id' })
    await opened.write(1)
    expect(endpoint.received[0]?.headers['x-request-id']).toMatch(/-7-3-1-1$/)
    expect(endpoint.received[0]?.headers['idempotency-key']).toBeUndefined()
  })
})

describe('headers of the job', () => {
  test('take the place of those that the output has by itself', async () => {
    await using endpoint = await Endpoint.open()
    await using opened = await openSink({ url: endpoint.url })
    await opened.write(1)
    expect(endpoint.received[0]?.headers).toMatchObject({
      'user-agent': expect.stringMatching(/^tidemark\/\d/),
      accept: expect.stringMatching(/json/),
    })
    await using own = await openSink({ url: endpoint.url, headers: { 'User-Agent': 'orders/1', ACCEPT: 'text/csv' } })
    await own.write(1)
    expect(endpoint.received[1]?.headers).toMatchObject({ 'user-agent': 'orders/1', accept: 'text/csv' })
  })

  test('are asked for before each attempt', async () => {
    await using endpoint = await Endpoint.open({ act: (_, number) => (number === 0 ? { status: 503 } : 'take') })
    await using opened = await openSink({
      url: endpoint.url,
      headers: async ({ attempt, idempotencyKey, task }) => ({ 'x-about': `${attempt} ${task.batchId} ${idempotencyKey}` }),
    })
    await opened.write(1)
    expect(endpoint.received.map(({ headers }) => headers['x-about'])).toEqual(
      [1, 2].map(at => expect.stringMatching(`^${at} 7 .*-7-3-1-1$`)),
    )
  })

  test('are asked for once more after a 401, which says that the token has ended', async () => {
    await using endpoint = await Endpoint.open({
      act: ({ headers }) => (headers.authorization === 'Bearer new-token' ? 'take' : { status: 401 }),
    })
    const headers = ({ isUnauthorized }: { isUnauthorized: boolean }) => ({
      authorization: isUnauthorized ? 'Bearer new-token' : 'Bearer old-token',
    })
    await using opened = await openSink({ url: endpoint.url, headers })
    await opened.write(1)
    expect(endpoint.received).toHaveLength(2)
    await using stubborn = await openSink({ url: endpoint.url, headers: () => ({ authorization: 'Bearer old-token' }) })
    await expect(stubborn.write(1)).rejects.toMatchObject({ code: 'AUTH' })
    expect(endpoint.received).toHaveLength(4)
  })

  test('that come from a service which is away are tried again, and a mistake in their function stops the task', async () => {
    await using endpoint = await Endpoint.open()
    const tokens = await Endpoint.open()
    const tokenUrl = tokens.url
    await tokens.close()
    let failures = 2
    await using opened = await openSink({
      url: endpoint.url,
      headers: async () => {
        if (failures-- > 0) await fetch(tokenUrl)
        return { authorization: 'Bearer token' }
      },
    })
    await opened.write(1)
    expect(endpoint.rows).toEqual(ids(1))
    await using hanging = await openSink({ url: endpoint.url, headers: () => new Promise(() => {}), timeoutMs: 20, attempts: 1 })
    await expect(hanging.write(1)).rejects.toThrow('the headers function of output http:api failed: no answer within 20 ms')
    await using mistaken = await openSink({
      url: endpoint.url,
      headers: () => {
        throw new TypeError('no such field')
      },
    })
    await expect(mistaken.write(1)).rejects.toMatchObject({
      code: 'TASK_FAILED',
      retryable: false,
      message: 'The headers function of output http:api failed: no such field',
    })
    await using odd = await openSink({ url: endpoint.url, headers: () => ({ 'x-token': 'secret\ntoken' }) })
    await expect(odd.write(1)).rejects.toThrow(/gave headers that cannot be sent: "x-token" cannot be a header, or its value/)
  })
})

describe('what an output says of itself', () => {
  test('is its guarantee, its order, and what a second run does to its rows', () => {
    const url = 'https://api.example.com/a'
    expect(httpSink({ url })).toMatchObject({ name: 'http:api.example.com', guarantee: 'at-least-once', ordering: 'partition' })
    expect(httpSink({ url, honoursKeys: true, ordering: 'none', name: 'api' })).toMatchObject({
      name: 'http:api',
      guarantee: 'idempotent',
      ordering: 'none',
      rewritten: { addsRows: true },
    })
  })

  test('holds no secret, and still tells two URLs apart', () => {
    const [one, two] = ['aaaa-secret', 'bbbb-secret'].map(path =>
      httpSink({ url: `https://user:password@hooks.example.com/${path}?key=${path}` }),
    )
    expect(JSON.stringify([one, two])).not.toMatch(/secret|password|user/)
    expect(one?.target).toMatch(/^https:\/\/hooks\.example\.com, path [0-9a-f]{12}$/)
    expect(one?.target).not.toBe(two?.target)
  })
})
