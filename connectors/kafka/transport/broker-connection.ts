import { systemClock } from '../../../src/core/clock.ts'
import { ConnectionError, DecodeError, TimeoutError } from '../../../src/core/errors.ts'
import { type AuthenticatedSocket, type BrokerAddress, showAddress } from './kafka-transport.ts'

/** Larger than any response a broker gives; a bigger size means that what answers is not Kafka, or not in step. */
const MAX_FRAME_BYTES = 1 << 30

type Pending = {
  readonly apiName: string
  /** When it was sent, or undefined where it had to wait for another's answer first. */
  readonly sentAt: number | undefined
  readonly correlationId: number
  readonly resolve: (frame: Buffer) => void
  readonly reject: (error: unknown) => void
  readonly end: () => void
}

export type SendOptions = {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Requests and responses over one authenticated socket. A broker answers a connection's requests in order, so responses are matched by place
 * and checked by correlation id. Once a request is given up (deadline, abort) its answer would still come and hold up all after it, so the
 * connection is closed with it; whoever holds it asks `isOpen` before the next.
 */
export class BrokerConnection {
  readonly address: BrokerAddress
  readonly #socket: AuthenticatedSocket['socket']
  readonly #expiresAt: number
  readonly #pending: Pending[] = []
  #nextCorrelationId = 1
  #closed: Error | undefined
  #throttledUntil = 0
  #latencyMs = Number.POSITIVE_INFINITY

  // The frame being received: its size once the first four bytes are here, then the bytes themselves.
  #frame: Buffer | undefined
  #received = 0
  readonly #sizeBytes = Buffer.alloc(4)
  #sizeReceived = 0

  constructor({ socket, address, sessionLifetimeMs }: AuthenticatedSocket) {
    this.address = address
    this.#socket = socket
    // Left in good time: a request on an expired session is answered by a closed connection.
    this.#expiresAt = sessionLifetimeMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + sessionLifetimeMs * 0.8
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', error =>
      this.#fail(new ConnectionError(`The connection to ${showAddress(address)} broke: ${error.message}.`, { cause: error })),
    )
    socket.on('close', () => this.#fail(new ConnectionError(`Broker ${showAddress(address)} closed the connection.`)))
    socket.on('end', () => this.#fail(new ConnectionError(`Broker ${showAddress(address)} closed the connection.`)))
  }

  /** Whether another request may be sent: not closed, and its session not about to expire. */
  get isOpen(): boolean {
    return this.#closed === undefined && performance.now() < this.#expiresAt
  }

  /** The shortest time from a request to the first byte of its answer, ms: what a round trip costs. Infinite before the first. */
  get latencyMs(): number {
    return this.#latencyMs
  }

  /** Obeys a broker's quota (KIP-219): the next request waits that long. It does not count against that request's deadline. */
  throttle(ms: number): void {
    if (ms > 0) this.#throttledUntil = Math.max(this.#throttledUntil, performance.now() + ms)
  }

  /**
   * Sends one request and resolves to the response behind its size: correlation id, tags and body. `frame` is told the correlation id.
   *
   * @throws TimeoutError after `timeoutMs`, ConnectionError when the connection breaks, or the signal's reason
   */
  async send(apiName: string, frame: (correlationId: number) => Buffer, { timeoutMs, signal }: SendOptions): Promise<Buffer> {
    signal?.throwIfAborted()
    const throttledMs = this.#throttledUntil - performance.now()
    if (throttledMs > 0) await systemClock.sleep(throttledMs, signal)
    if (this.#closed !== undefined) throw this.#closed
    const correlationId = this.#nextCorrelationId
    this.#nextCorrelationId = correlationId === 0x7fffffff ? 1 : correlationId + 1
    return new Promise((resolve, reject) => {
      const abort = () => this.#fail(signal?.reason)
      const timer = setTimeout(() => {
        this.#fail(new TimeoutError(`Broker ${showAddress(this.address)} did not answer ${apiName} within ${timeoutMs} ms.`))
      }, timeoutMs)
      signal?.addEventListener('abort', abort, { once: true })
      const end = () => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', abort)
      }
      const sentAt = this.#pending.length === 0 ? performance.now() : undefined
      this.#pending.push({ apiName, sentAt, correlationId, resolve, reject, end })
      this.#socket.write(frame(correlationId))
    })
  }

  close(): void {
    this.#fail(new ConnectionError(`The connection to ${showAddress(this.address)} was closed.`))
  }

  #receive(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length && this.#closed === undefined) {
      if (this.#frame === undefined) {
        at = this.#receiveSize(chunk, at)
        continue
      }
      const frame: Buffer = this.#frame
      const taken = Math.min(frame.length - this.#received, chunk.length - at)
      chunk.copy(frame, this.#received, at, at + taken)
      this.#received += taken
      at += taken
      if (this.#received === frame.length) {
        this.#frame = undefined
        this.#answer(frame)
      }
    }
  }

  #receiveSize(chunk: Buffer, from: number): number {
    let at = from
    while (this.#sizeReceived < 4 && at < chunk.length) this.#sizeBytes[this.#sizeReceived++] = chunk[at++] as number
    if (this.#sizeReceived < 4) return at
    const sentAt = this.#pending[0]?.sentAt
    if (sentAt !== undefined) this.#latencyMs = Math.min(this.#latencyMs, performance.now() - sentAt)
    const size = this.#sizeBytes.readInt32BE(0)
    this.#sizeReceived = 0
    this.#received = 0
    if (size < 4 || size > MAX_FRAME_BYTES) {
      const what = `${showAddress(this.address)} announced a response of ${size} bytes`
      this.#fail(
        new DecodeError(
          `${what}: what answers there is not a Kafka broker, or not over this kind of connection. Check address, port and TLS.`,
        ),
      )
      return at
    }
    // Exactly the frame: buffers from the pool would keep its neighbours alive as long as somebody holds a value of this one.
    this.#frame = Buffer.allocUnsafeSlow(size)
    return at
  }

  #answer(frame: Buffer): void {
    const pending = this.#pending.shift()
    if (pending === undefined || frame.readInt32BE(0) !== pending.correlationId) {
      const expected = pending === undefined ? 'no request is waiting' : `${pending.apiName} waits for ${pending.correlationId}`
      if (pending !== undefined) this.#pending.unshift(pending)
      this.#fail(new ConnectionError(`Broker ${showAddress(this.address)} answered request ${frame.readInt32BE(0)}, and ${expected}.`))
      return
    }
    pending.end()
    pending.resolve(frame)
  }

  #fail(error: Error): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#frame = undefined
    this.#socket.destroy()
    for (const { reject, end } of this.#pending.splice(0)) {
      end()
      reject(error)
    }
  }
}
