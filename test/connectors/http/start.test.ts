import { readFileSync } from 'node:fs'
import type { AddressInfo, Socket } from 'node:net'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Endpoint } from './endpoint.ts'
import { ids, openSink } from './http-task.ts'

const fixture = (name: string) => readFileSync(new URL(`../../fixtures/http/${name}`, import.meta.url), 'utf8')
const tls = { key: fixture('localhost.key'), cert: fixture('localhost.crt') }

describe('an endpoint that cannot be reached when the stream starts', () => {
  test('is told as a mistake to mend: nobody listens, or there is no such host', async () => {
    const endpoint = await Endpoint.open()
    const { url } = endpoint
    await endpoint.close()
    await expect(openSink({ url })).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(
        /^http:\/\/localhost:\d+ cannot be reached: .*ECONNREFUSED.*\. Is the URL right, and does the endpoint run\?$/,
      ),
    })
    await expect(openSink({ url: 'http://no-such-host.invalid/x' })).rejects.toThrow(/no-such-host\.invalid cannot be reached: getaddrinfo/)
  })

  test('is told when it accepts no connection in time', async () => {
    // It takes the connection and says nothing: TLS never comes about.
    const sockets: Socket[] = []
    const silent = createServer(socket => void sockets.push(socket))
    onTestFinished(() => {
      silent.close()
      for (const socket of sockets) socket.destroy()
    })
    await new Promise<void>(resolve => silent.listen(0, 'localhost', resolve))
    const { port } = silent.address() as AddressInfo
    await expect(openSink({ url: `https://localhost:${port}`, timeoutMs: 50 })).rejects.toThrow(/no connection within 50 ms/)
  })
})

describe('an endpoint over TLS', () => {
  test('takes rows where its authority is given', async () => {
    await using endpoint = await Endpoint.open({ tls })
    await using opened = await openSink({ url: endpoint.url, tls: { ca: tls.cert } })
    await opened.write(3)
    expect(endpoint.rows).toEqual(ids(3))
  })

  test('that asks for a certificate of its client gets the one that is given, and says so where there is none', async () => {
    await using endpoint = await Endpoint.open({ tls: { ...tls, ca: tls.cert, requestCert: true } })
    await using opened = await openSink({ url: endpoint.url, tls: { ca: tls.cert, cert: tls.cert, key: tls.key } })
    await opened.write(3)
    expect(endpoint.rows).toEqual(ids(3))
    await using nameless = await openSink({ url: endpoint.url, tls: { ca: tls.cert } })
    await expect(nameless.write(3)).rejects.toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/certificate required|socket hang up|ECONNRESET/),
    })
    expect(endpoint.rows).toEqual(ids(3))
  })

  test('is refused where nobody vouches for its certificate', async () => {
    await using endpoint = await Endpoint.open({ tls })
    await expect(openSink({ url: endpoint.url })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/^The TLS of https:\/\/localhost:\d+ cannot be used: self-signed certificate.* tls\.ca/),
    })
    expect(endpoint.received).toEqual([])
  })

  test('is refused where its certificate is for another name, unless that name is given', async () => {
    await using endpoint = await Endpoint.open({ tls })
    const address = endpoint.url.replace('localhost', '127.0.0.1')
    const servername = 'elsewhere.example.com'
    await expect(openSink({ url: address, tls: { ca: tls.cert, servername } })).rejects.toThrow(/cannot be used: .*elsewhere\.example\.com/)
    await using opened = await openSink({ url: address, tls: { ca: tls.cert, servername: 'localhost' } })
    await opened.write(1)
    expect(endpoint.rows).toEqual(ids(1))
  })

  test('that speaks none is told so', async () => {
    await using endpoint = await Endpoint.open()
    const url = endpoint.url.replace('http:', 'https:')
    await expect(openSink({ url })).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('mend the URL') })
  })
})
