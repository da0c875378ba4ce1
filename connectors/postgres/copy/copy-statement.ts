import type { EventEmitter } from 'node:events'
import { UnsupportedError } from '../../../src/core/errors.ts'
import type { PostgresClient } from '../../../src/util/postgres-pool.ts'

/** What the statement uses of `pg`'s `Connection`. */
type PgConnection = { readonly stream: EventEmitter & { write(bytes: Uint8Array): boolean }; query(text: string): void }

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')
/** CopyData with the format's header: signature, flags, length of an extension. */
const HEADER = message(0x64, Buffer.concat([SIGNATURE, Buffer.alloc(8)]))
/** CopyData with the format's end, a row of −1 fields, and CopyDone. */
const END = Buffer.concat([message(0x64, Buffer.from([0xff, 0xff])), message(0x63, Buffer.alloc(0))])
const FAIL = message(0x66, Buffer.from('the rows could not be made\0'))

/**
 * One message of statements of which one is `copy … from stdin (format binary)`, as `pg`'s Client takes it in place of a query. The server goes on
 * with the statements behind the COPY by itself once it has all rows: whoever is stopped after that holds nothing up.
 */
export class CopyStatement {
  /** `pg` sets one where `query_timeout` is set, and ends its timer by a call of it. */
  callback: ((error?: unknown) => void) | undefined
  readonly #text: string
  readonly #started = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #connection: PgConnection | undefined
  #failure: { readonly error: unknown } | undefined
  #drained: PromiseWithResolvers<void> | undefined

  constructor(text: string) {
    this.#text = text
    this.#started.promise.catch(() => {})
    this.#ended.promise.catch(() => {})
  }

  /**
   * Sends the statements and all messages of rows, as fast as the socket takes them, and resolves when every statement is done. Throws the server's
   * error, or what the messages threw; the transaction can then only be rolled back.
   */
  async run(client: PostgresClient, arrays: AsyncIterable<readonly Buffer[]> | Iterable<readonly Buffer[]>): Promise<void> {
    await this.#start(client)
    try {
      for await (const messages of arrays) {
        for (const message of messages) {
          const isSent = this.#send(message)
          if (isSent !== undefined) await isSent
        }
      }
    } catch (error) {
      await this.#fail()
      throw error
    }
    if (this.#failure === undefined) this.#write(END)
    await this.#ended.promise
  }

  /** Resolves when the server waits for rows. */
  async #start(client: PostgresClient): Promise<void> {
    if (!('connection' in client))
      throw new UnsupportedError('postgresSink streams with pg itself: give it a pool of pg, not of pg-native.')
    client.query(this as never)
    await this.#started.promise
    this.#connection?.stream.on('drain', this.#onDrain)
    this.#write(HEADER)
  }

  /** Sends a CopyData message. A promise where the socket has enough for now. Throws the server's error once there is one. */
  #send(chunk: Uint8Array): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#write(chunk)) return undefined
    this.#drained ??= Promise.withResolvers()
    return this.#drained.promise.then(() => {
      if (this.#failure !== undefined) throw this.#failure.error
    })
  }

  /** Ends the COPY without its rows. */
  async #fail(): Promise<void> {
    if (this.#failure === undefined) this.#write(FAIL)
    await this.#ended.promise.catch(() => {})
  }

  #write(chunk: Uint8Array): boolean {
    return this.#connection?.stream.write(chunk) ?? true
  }

  readonly #onDrain = () => {
    this.#drained?.resolve()
    this.#drained = undefined
  }

  #end(): void {
    this.#connection?.stream.off('drain', this.#onDrain)
    this.#onDrain()
    this.callback?.()
  }

  submit(connection: PgConnection): void {
    this.#connection = connection
    connection.query(this.#text)
  }

  handleCopyInResponse(): void {
    this.#started.resolve()
  }

  handleReadyForQuery(): void {
    this.#end()
    this.#ended.resolve()
  }

  handleError(error: unknown): void {
    this.#failure ??= { error }
    this.#end()
    this.#started.reject(error)
    this.#ended.reject(error)
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
}

function message(kind: number, body: Buffer): Buffer {
  const bytes = Buffer.alloc(5 + body.length)
  bytes[0] = kind
  bytes.writeInt32BE(4 + body.length, 1)
  body.copy(bytes, 5)
  return bytes
}
