import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy, throughProxy } from '../support/services/fault-proxy.ts'
import { waitUntil } from '../support/services/wait-until.ts'

/** A server that answers a line with `re:` and the line, and keeps what it heard. */
let server: Server
let heard: string[]
let proxy: FaultProxy
const clients = new Set<Socket>()

beforeEach(async () => {
  heard = []
  server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', bytes => {
      heard.push(String(bytes))
      socket.write(`re:${bytes}`)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await startFaultProxy(`127.0.0.1:${portOf(server)}`)
})

afterEach(async () => {
  for (const client of clients) client.destroy()
  clients.clear()
  await proxy.close()
  server.close()
})

const portOf = (listening: Server) => (listening.address() as AddressInfo).port

async function openClient(): Promise<{ socket: Socket; ask: (line: string) => Promise<string>; closed: Promise<unknown> }> {
  const socket = connect(proxy.port, proxy.host)
  clients.add(socket)
  const closed = new Promise(resolve => socket.once('close', resolve))
  socket.on('error', () => {})
  await once(socket, 'connect')
  const ask = (line: string) =>
    new Promise<string>(resolve => {
      socket.once('data', bytes => resolve(String(bytes)))
      socket.once('close', () => resolve('closed'))
      socket.write(line)
    })
  return { socket, ask, closed }
}

test('without a fault all goes through', async () => {
  const { ask } = await openClient()
  expect(await ask('one')).toBe('re:one')
  expect(await ask('two')).toBe('re:two')
})

test('a cut closes every connection, and new ones are let through', async () => {
  const [first, second] = [await openClient(), await openClient()]
  await Promise.all([first.ask('one'), second.ask('one')])
  await proxy.cut()
  await Promise.all([first.closed, second.closed])
  expect(await (await openClient()).ask('again')).toBe('re:again')
})

test('the request whose answer is lost reaches the server, and its connection ends', async () => {
  const [first, second] = [await openClient(), await openClient()]
  expect(await second.ask('before')).toBe('re:before')
  const lost = await proxy.loseNextAnswer()
  expect(await first.ask('write')).toBe('closed')
  expect(heard).toEqual(['before', 'write'])
  expect(lost.disarm()).toBe(true)
  expect(await second.ask('after')).toBe('re:after')
})

test('requests that are skipped are answered, and a watch that was ended loses nothing', async () => {
  const { ask } = await openClient()
  const second = await proxy.loseNextAnswer(1)
  expect(await ask('one')).toBe('re:one')
  expect(await ask('two')).toBe('closed')
  expect(second.disarm()).toBe(true)

  const again = await openClient()
  const third = await proxy.loseNextAnswer(1)
  expect(await again.ask('one')).toBe('re:one')
  expect(third.disarm()).toBe(false)
  expect(await again.ask('two')).toBe('re:two')
})

test('while it holds nothing goes through, also on new connections, and then all of it does', async () => {
  const first = await openClient()
  expect(await first.ask('before')).toBe('re:before')
  proxy.hold()
  const second = await openClient()
  const answers = Promise.all([first.ask('held'), second.ask('held')])
  expect(await (await openDirectly()).ask('past it')).toBe('re:past it')
  expect(heard).toEqual(['before', 'past it'])
  proxy.release()
  expect(await answers).toEqual(['re:held', 're:held'])
})

async function openDirectly() {
  const direct = await startFaultProxy(`127.0.0.1:${portOf(server)}`)
  const socket = connect(direct.port, direct.host)
  clients.add(socket)
  return {
    ask: async (line: string) => {
      socket.write(line)
      const [bytes] = await once(socket, 'data')
      await direct.close()
      return String(bytes)
    },
  }
}

test('a server that is gone closes the connections, and one that came back is reached', async () => {
  const port = portOf(server)
  const { ask, closed } = await openClient()
  await ask('one')
  const ended = once(server, 'close')
  server.close()
  await proxy.cut()
  await closed
  await ended
  expect(await (await openClient()).ask('nobody')).toBe('closed')
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  await waitUntil('the server answers', async () => (await (await openClient()).ask('back')) === 're:back')
})

test('its address is that of the target with its own port, be it a URL or not', async () => {
  expect(proxy.address).toBe(`127.0.0.1:${proxy.port}`)
  for (const [target, address] of [
    ['postgres://user:p%40ss@localhost:5432/database?sslmode=disable', 'postgres://user:p%40ss@127.0.0.1:PORT/database?sslmode=disable'],
    ['redis://localhost:6379', 'redis://127.0.0.1:PORT'],
  ] as const) {
    await using other = await startFaultProxy(target)
    expect(other.address).toBe(address.replace('PORT', String(other.port)))
  }
})

test('a socket factory for kafkajs goes through the proxy whatever broker it is asked for', async () => {
  const socket = await new Promise<Socket>(resolve => {
    const made: Socket = throughProxy(proxy)({ host: 'broker.invalid', port: 9092, onConnect: () => resolve(made) })
    clients.add(made)
  })
  socket.on('error', () => {})
  socket.write('hello')
  expect(String((await once(socket, 'data'))[0])).toBe('re:hello')
  const closed = new Promise(resolve => socket.once('close', resolve))
  await proxy.cut()
  await closed
})
