import { getEventListeners } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { BrokerConnection } from '../../../../connectors/kafka/transport/broker-connection.ts'

let server: Server
let other: Promise<Socket>
let connection: BrokerConnection

beforeEach(async () => {
  const accepted = Promise.withResolvers<Socket>()
  other = accepted.promise
  server = createServer(accepted.resolve)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const socket = connect({ host: '127.0.0.1', port })
  await new Promise(resolve => socket.once('connect', resolve))
  connection = new BrokerConnection({ socket, address: { host: '127.0.0.1', port }, sessionLifetimeMs: undefined })
})

afterEach(async () => {
  connection.close()
  const socket = await other
  socket.destroy()
  await new Promise(resolve => server.close(resolve))
})

/** A request that is nothing but its correlation id. */
const frame = (correlationId: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32BE(4, 0)
  bytes.writeInt32BE(correlationId, 4)
  return bytes
}
const send = (options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  connection.send('Fetch', frame, { timeoutMs: 5_000, ...options })

test('answers are given to requests in their order', async () => {
  const asked = [send(), send(), send()]
  ;(await other).write(Buffer.concat([frame(1), frame(2), frame(3)]))
  expect((await Promise.all(asked)).map(answer => answer.readInt32BE(0))).toEqual([1, 2, 3])
})

test('a request that is not answered in time fails, and so do those behind it: their answers could not be told apart', async () => {
  const asked = [send({ timeoutMs: 20 }), send()]
  const settled = await Promise.allSettled(asked)
  for (const outcome of settled) {
    expect(outcome).toMatchObject({
      reason: { code: 'TIMEOUT', retryable: true, message: expect.stringMatching(/did not answer Fetch within 20 ms/) },
    })
  }
  expect(connection.isOpen).toBe(false)
})

test('an aborted request fails with the reason of its signal, and its connection is closed on both sides', async () => {
  const abort = new AbortController()
  const asked = send({ signal: abort.signal })
  const socket = await other
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.resume()
  const reason = new Error('enough')
  abort.abort(reason)
  await expect(asked).rejects.toBe(reason)
  expect(connection.isOpen).toBe(false)
  await closed
})

test('a broker that goes away fails what waits at once, with an error that may be tried again', async () => {
  const asked = send()
  ;(await other).destroy()
  await expect(asked).rejects.toMatchObject({ code: 'CONNECTION', retryable: true })
})

test('a connection is left in good time before its login expires', async () => {
  const client = new PassThrough()
  const expiring = new BrokerConnection({ socket: client, address: { host: 'h', port: 1 }, sessionLifetimeMs: 1 })
  while (expiring.isOpen) await new Promise(resolve => setImmediate(resolve))
  expect(expiring.isOpen).toBe(false)
  expiring.close()
})

test('an abort while a quota is waited out is heard at once', async () => {
  connection.throttle(60_000)
  const abort = new AbortController()
  const asked = send({ signal: abort.signal })
  abort.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
})

test('nothing listens to a signal any more when its request is answered', async () => {
  const { signal } = new AbortController()
  const asked = send({ signal })
  ;(await other).write(frame(1))
  await asked
  expect(getEventListeners(signal, 'abort').length).toBe(0)
})

test('what a quota makes a request wait is no part of its deadline', async () => {
  const socket = await other
  socket.once('data', request => socket.write(request))
  connection.throttle(150)
  const startedAt = performance.now()
  expect((await send({ timeoutMs: 100 })).readInt32BE(0)).toBe(1)
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(149)
})
