import { expect, test } from 'vitest'
import { type HttpSinkOptions, httpSink } from '../../../connectors/http/index.ts'
import { stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'

const url = 'https://api.example.com/orders'

test.each<[string, object, RegExp]>([
  ['no URL', { url: undefined }, /^httpSink: url is undefined: expected a URL, .* is its variable set\?$/],
  ['another protocol', { url: 'ftp://host' }, /url is "ftp:\/\/host": expected a URL, https:\/\/… or http:\/\/…/],
  ['a fragment', { url: `${url}#here` }, /without a #fragment/],
  ['GET', { url, method: 'GET' }, /method is "GET": expected "POST", "PUT" or "PATCH"/],
  ['no such body', { url, body: 'xml' }, /body is "xml": expected 'json', 'ndjson' or a function/],
  ['no rows in a request', { url, maxRowsPerRequest: 0 }, /maxRowsPerRequest is 0/],
  ['requests side by side in order', { url, concurrency: 2 }, /concurrency is 2: expected 1, or ordering: 'none'/],
  ['certificates for http', { url: 'http://host', tls: { ca: 'x' } }, /tls is an object: expected nothing/],
  ['a certificate without its key', { url, tls: { cert: 'x' } }, /expected cert and key together/],
  [
    'a header of ours',
    { url, headers: { Host: 'x' } },
    /headers is an object: expected headers that can be sent: Host is set by the output itself/,
  ],
  ['the key as a header', { url, headers: { 'Idempotency-Key': 'x' } }, /Idempotency-Key is set by the output itself/],
  ['a value that cannot be sent', { url, headers: { 'x-token': 'secret\n' } }, /"x-token" cannot be a header, or its value/],
  ['a value that is no text', { url, headers: { 'x-token': 5 } }, /the value of x-token is no text/],
  [
    'no name for the key',
    { url, keyHeader: 'content-length' },
    /keyHeader is "content-length": expected the name of a header that is free/,
  ],
  ['an unknown option', { url, retries: 5 }, /retries is not an option/],
])('%s is refused', (_, options, message) => {
  expect(() => httpSink(options as HttpSinkOptions)).toThrow(message)
})

test('no value of a header is shown', () => {
  const message = (() => {
    try {
      httpSink({ url, headers: { 'x-token': 'secret\n', 'x-other': 's3cret' } })
      return ''
    } catch (error) {
      return String(error)
    }
  })()
  expect(message).toContain('x-token')
  expect(message).not.toMatch(/secret|s3cret/)
})

test('a function of the rows knows their type, and a row that lacks what it needs does not compile', () => {
  const orders = stream({ name: 'orders' })
    .from(memorySource({ topics: { orders: 1 } }))
    .map(({ offset }) => ({ id: offset }))
  orders.to(httpSink({ url, body: rows => rows.map(({ id }) => id.toFixed()).join() }))
  // @ts-expect-error an order has no price
  orders.to(httpSink({ url, name: 'prices', body: rows => rows.map(({ price }) => price).join() }))
  expect(() => orders.to(httpSink({ url }))).toThrow('two outputs named http:api.example.com')
})
