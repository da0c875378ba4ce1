import { expect, test } from 'vitest'
import { errorToWire } from '../../../src/core/error-wire.ts'
import { Endpoint } from './endpoint.ts'
import { openSink } from './http-task.ts'

test('an endpoint that says again what it was sent tells no secret of it', async () => {
  // It echoes everything, as some do in their errors.
  await using endpoint = await Endpoint.open({
    act: ({ headers, path }) => ({ status: 400, body: JSON.stringify({ headers, path: decodeURI(path) }) }),
  })
  const url = new URL(endpoint.url)
  Object.assign(url, { username: 'the-user', password: 'the pass%2Fword', pathname: '/hooks/T0S3CRET', search: '?token=qu3rytoken' })
  await using opened = await openSink({ url: url.href, headers: { authorization: 'Bearer b34rer-token', 'x-api-key': 'k3y-of-api' } })
  const error = await opened.write(1).catch(thrown => thrown)
  expect(endpoint.received[0]?.headers.authorization).toBe('Bearer b34rer-token')
  const all = JSON.stringify(errorToWire(error))
  expect(all).toContain('***')
  expect(all).not.toMatch(/b34rer|k3y-of|S3CRET|qu3ry|the-user|the pass|word/)
})

test('the user and password of a URL become basic authentication', async () => {
  await using endpoint = await Endpoint.open()
  const url = endpoint.url.replace('//', '//ann:p%40ss@')
  await using opened = await openSink({ url })
  await opened.write(1)
  expect(endpoint.received[0]?.headers.authorization).toBe(`Basic ${Buffer.from('ann:p@ss').toString('base64')}`)
})

test('an endpoint that is away is named by its host', async () => {
  await using endpoint = await Endpoint.open()
  await using opened = await openSink({ url: `${endpoint.url}/T0S3CRET?token=qu3rytoken`, headers: { authorization: 'Bearer b34rer' } })
  await endpoint.close()
  const error = await opened.write(1).catch(thrown => thrown)
  expect(error.message).toMatch(/^http:\/\/localhost:\d+ is away: .*ECONNREFUSED/)
  expect(JSON.stringify(errorToWire(error))).not.toMatch(/S3CRET|qu3ry|b34rer/)
})
