import { type Agent, type IncomingHttpHeaders, type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls, type Agent as TlsAgent } from 'node:https'
import type { Clock } from '../../src/core/clock.ts'
import { TimeoutError } from '../../src/core/errors.ts'

export type HttpRequest = {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly agent: Agent | TlsAgent
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** What an endpoint said. */
export type HttpAnswer = {
  readonly status: number
  readonly statusText: string
  readonly headers: IncomingHttpHeaders
  /** The first few thousand bytes of it, as text. */
  readonly body: string
}

/** How much of an answer is kept: enough to say what is wrong. */
const KEPT_BYTES = 4096

/**
 * One request and its whole answer. Rejects with the signal's reason, with `TimeoutError`, or with what the system says, also where an answer breaks off:
 * a status without its end may be a proxy's word for a server that died.
 *
 * A kept connection that the server closes just as the request leaves says nothing about the endpoint: the request goes out once more, over a new one.
 */
export async function sendRequest(request: HttpRequest): Promise<HttpAnswer> {
  try {
    return await exchange(request)
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error
    return exchange(request)
  }
}

class StaleConnection extends Error {}

function exchange({ url, method, headers, body, agent, timeoutMs, clock, signal }: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const request = send(url, { method, agent, headers: { ...headers, 'content-length': String(body.length) } })
    const end = (settle: () => void) => {
      cancelTimer()
      signal.removeEventListener('abort', abort)
      settle()
    }
    const fail = (error: unknown) =>
      end(() => {
        reject(error)
        request.destroy()
      })
    const abort = () => fail(signal.reason)
    const cancelTimer = clock.after(timeoutMs, () => fail(new TimeoutError(`no answer within ${timeoutMs} ms (timeoutMs)`)))
    signal.addEventListener('abort', abort)
    request.on('error', error => {
      const isStale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET'
      fail(isStale ? new StaleConnection(error.message, { cause: error }) : error)
    })
    request.on('response', response => {
      const kept = keep(response)
      response.on('end', () => end(() => resolve(answerOf(response, kept))))
      response.on('error', fail)
      response.on('close', () => {
        if (!response.complete) fail(new Error('the connection was closed in the middle of the answer'))
      })
    })
    request.end(body)
  })
}

function keep(response: IncomingMessage): Buffer[] {
  const kept: Buffer[] = []
  let bytes = 0
  response.on('data', (data: Buffer) => {
    if (bytes < KEPT_BYTES) kept.push(data.subarray(0, KEPT_BYTES - bytes))
    bytes += data.length
  })
  return kept
}

function answerOf({ statusCode = 0, statusMessage = '', headers }: IncomingMessage, kept: readonly Buffer[]): HttpAnswer {
  return { status: statusCode, statusText: statusMessage, headers, body: Buffer.concat(kept).toString('utf8') }
}
