import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ConfigError, ConnectionError, TimeoutError } from '../../src/core/errors.ts'
import { answerWithin } from '../../src/util/answer-within.ts'
import type { Endpoint } from './endpoint.ts'
import { describeNetwork, isTlsFailure } from './network-failure.ts'
import type { HttpTls } from './options.ts'

/**
 * Connects to the endpoint and sends nothing: a host that is wrong, a port where nobody listens, and a certificate that is not trusted are mistakes to mend at
 * the start. Later they are outages, which are waited out.
 *
 * @throws ConnectionError, ConfigError
 */
export async function checkEndpoint(
  { url, shown }: Endpoint,
  tls: HttpTls | undefined,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  // Brackets of an IPv6 address are the URL's.
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  const isTls = url.protocol === 'https:'
  const socket: Socket = isTls
    ? connectTls({ host, port, ...(isIP(host) === 0 && { servername: host }), ...(tls as object | undefined), ALPNProtocols: ['http/1.1'] })
    : connectPlain({ host, port })
  try {
    const connected = new Promise<void>((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', resolve)
      socket.once('error', reject)
    })
    await answerWithin(connected, timeoutMs, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (isTlsFailure(error)) {
      throw new ConfigError(
        `The TLS of ${shown} cannot be used: ${describeNetwork(error)}. Give the authority that signed its certificate as tls.ca, or mend the URL.`,
        { cause: error },
      )
    }
    const why = error instanceof TimeoutError ? `no connection within ${timeoutMs} ms` : describeNetwork(error)
    throw new ConnectionError(`${shown} cannot be reached: ${why}. Is the URL right, and does the endpoint run?`, { cause: error })
  } finally {
    socket.destroy()
  }
}
