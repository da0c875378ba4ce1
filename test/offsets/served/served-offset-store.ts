import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { ConnectionError, isTidemarkError, TidemarkError } from '../../../src/core/errors.ts'
import type {
  AcquireOptions,
  HistoryEntry,
  HistoryOptions,
  Lease,
  OffsetStore,
  ResetOptions,
  StreamSnapshot,
  StreamState,
} from '../../../src/core/offset-store.ts'
import type { CallOptions } from '../../../src/core/source.ts'
import type { Batch, PartitionOffset } from '../../../src/core/values.ts'
import type { Answer, Call } from './wire.ts'

type Waiting = { readonly resolve: (result: unknown) => void; readonly reject: (error: unknown) => void }
type Connection = { readonly socket: Socket; readonly waiting: Map<number, Waiting> }

/**
 * A client of the server next to it: the least that a store over a network is, so that the contract's faults can be tried without any service. What is
 * under way when its connection ends rejects as retryable, and the next call opens another.
 */
export class ServedOffsetStore implements OffsetStore {
  readonly #port: number
  readonly #host: string
  readonly #held = new Map<string, Lease>()
  #connection: Connection | undefined
  #lastId = 0

  constructor({ host, port }: { readonly host: string; readonly port: number }) {
    this.#host = host
    this.#port = port
  }

  async acquire(stream: string, owner: string, ttlMs: number, { signal, ...options }: AcquireOptions = {}): Promise<Lease> {
    const lease = (await this.ask({ signal }, 'acquire', stream, owner, ttlMs, options)) as Lease
    this.#held.set(stream, lease)
    return lease
  }

  async renew(lease: Lease, options?: CallOptions): Promise<void> {
    await this.ask(options, 'renew', lease)
  }

  async release(lease: Lease, options?: CallOptions): Promise<void> {
    await this.ask(options, 'release', lease)
    this.#held.delete(lease.stream)
  }

  async read(stream: string, options?: CallOptions): Promise<StreamState> {
    // JSON has no undefined, and the contract tells a field that is undefined from one that is not there.
    const { streamId, pending, ...state } = (await this.ask(options, 'read', stream)) as StreamState
    return { ...state, streamId, pending }
  }

  async begin(lease: Lease, batch: Batch, options?: CallOptions): Promise<void> {
    await this.ask(options, 'begin', lease, batch)
  }

  async commit(lease: Lease, batchId: number, options?: CallOptions): Promise<void> {
    await this.ask(options, 'commit', lease, batchId)
  }

  async reset(lease: Lease, offsets: readonly PartitionOffset[], { signal, ...options }: ResetOptions = {}): Promise<void> {
    await this.ask({ signal }, 'reset', lease, offsets, options)
  }

  async *history(stream: string, { signal, ...options }: HistoryOptions = {}): AsyncGenerator<HistoryEntry> {
    yield* (await this.ask({ signal }, 'history', stream, options)) as HistoryEntry[]
  }

  async streams(options?: CallOptions): Promise<string[]> {
    return (await this.ask(options, 'streams')) as string[]
  }

  async snapshot(stream: string, options?: CallOptions): Promise<StreamSnapshot> {
    return (await this.ask(options, 'snapshot', stream)) as StreamSnapshot
  }

  async restore(snapshot: StreamSnapshot, options?: CallOptions): Promise<void> {
    await this.ask(options, 'restore', snapshot)
  }

  async retire(lease: Lease, note: string, options?: CallOptions): Promise<void> {
    await this.ask(options, 'retire', lease, note)
    this.#held.delete(lease.stream)
  }

  async remove(lease: Lease, options?: CallOptions): Promise<void> {
    await this.ask(options, 'remove', lease)
    this.#held.delete(lease.stream)
  }

  async close(): Promise<void> {
    for (const lease of this.#held.values()) {
      await this.release(lease).catch(error => {
        if (!isTidemarkError(error, 'FENCED') && !isTidemarkError(error, 'CONNECTION')) throw error
      })
    }
    this.#held.clear()
    this.#connection?.socket.destroy()
  }

  /** Sends one call and gives its answer. */
  protected ask(options: { signal?: AbortSignal | undefined } = {}, method: Call['method'], ...args: unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted()
      this.#lastId += 1
      const { socket, waiting } = this.#connect()
      waiting.set(this.#lastId, { resolve, reject })
      socket.write(`${JSON.stringify({ id: this.#lastId, method, args } satisfies Call)}\n`)
    })
  }

  #connect(): Connection {
    if (this.#connection !== undefined) return this.#connection
    const socket = connect(this.#port, this.#host)
    const connection: Connection = { socket, waiting: new Map() }
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#connection === connection) this.#connection = undefined
      for (const { reject } of connection.waiting.values()) reject(new ConnectionError('The connection to the served store ended.'))
    })
    const lines = createInterface({ input: socket })
    lines.on('error', () => {})
    lines.on('line', line => {
      const answer = JSON.parse(line) as Answer
      const waiting = connection.waiting.get(answer.id)
      connection.waiting.delete(answer.id)
      if ('error' in answer) waiting?.reject(new TidemarkError(answer.error.code, answer.error.message, answer.error))
      else waiting?.resolve(answer.result)
    })
    this.#connection = connection
    return connection
  }
}
