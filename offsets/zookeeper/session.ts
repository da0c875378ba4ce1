import type { Clock } from '../../src/core/clock.ts'
import { AuthError, ConfigError, ConnectionError, errorMessage, type TidemarkError } from '../../src/core/errors.ts'
import { connectionPhase, dropConnection, forgetPartialAnswer, serversOf } from './client-internals.ts'
import { checkSize, type MultiAnswer, mtimeOf, type Operation, readMultiAnswer } from './operations.ts'
import type { ZookeeperAcl, ZookeeperClient, ZookeeperStat } from './zookeeper-client.ts'
import { authRefused, describeZookeeperError, lostConnection, refusalOf } from './zookeeper-error.ts'

/** A node's data, and what its `Stat` says. */
export type Node = { readonly data: Buffer; readonly version: number; readonly mtimeMs: number }

type Callback<T extends unknown[]> = (error: unknown, ...values: T) => void

const CONNECT_WITHIN_MS = 5_000

/**
 * One client of node-zookeeper-client with promises. Requests go out in the order of their calls and are carried out in that order, so that a read
 * called right after a write sees the tree as that write left it, on whichever server: ZooKeeper keeps the order of a session.
 *
 * Nothing is queued while there is no connection, and whatever is under way when one ends is rejected at once: the client itself would go on
 * waiting, and send what nobody waits for any more.
 */
export class Session {
  readonly where: string
  readonly #client: ZookeeperClient
  readonly #isOwn: boolean
  readonly #acl: ZookeeperAcl[] | undefined
  readonly #clock: Clock
  readonly #answerWithinMs: number
  readonly #underWay = new Set<(error: TidemarkError) => void>()
  readonly #waiting = new Set<() => void>()
  #ended: TidemarkError | undefined

  constructor(
    client: ZookeeperClient,
    options: { readonly isOwn: boolean; readonly acl: ZookeeperAcl[] | undefined; readonly clock: Clock; readonly answerWithinMs: number },
  ) {
    this.#client = client
    this.#isOwn = options.isOwn
    this.#acl = options.acl
    this.#clock = options.clock
    this.#answerWithinMs = options.answerWithinMs
    this.where = serversOf(client)
    client.on('state', this.#onState)
  }

  /** Why this client can never be used again, if so. */
  get ended(): TidemarkError | undefined {
    return this.#ended
  }

  /** Resolves once requests can be sent. Throws `ConnectionError`, and `AuthError` where the credentials were refused. */
  async ready(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (this.#isConnected()) return
    this.#start()
    const giveUpAt = this.#clock.monotonic() + CONNECT_WITHIN_MS
    while (!this.#isConnected()) {
      if (this.#ended !== undefined) throw this.#ended
      const leftMs = giveUpAt - this.#clock.monotonic()
      if (leftMs <= 0) throw this.#unreachable()
      await this.#nextChange(leftMs, signal)
    }
  }

  /**
   * All steps or none, in one transaction.
   *
   * node-zookeeper-client takes version 0 of a step for "any" (`version || -1`): a second writer that read the first version of a node would
   * overwrite what the first one wrote. So whatever is checked by version is created and set in one transaction, which makes its version 1.
   */
  multi(operations: readonly Operation[]): Promise<MultiAnswer> {
    const [first] = operations
    const about = first?.path ?? '/'
    checkSize(operations)
    return this.#request<[unknown], MultiAnswer>(
      about,
      callback => {
        const transaction = this.#client.transaction()
        for (const operation of operations) this.#add(transaction, operation)
        transaction.commit(callback)
      },
      (error, results) => readMultiAnswer(error, results, operations),
    )
  }

  /** Undefined where there is no such node. */
  get(path: string): Promise<Node | undefined> {
    return this.#request<[Buffer | undefined, ZookeeperStat], Node | undefined>(
      path,
      callback => this.#client.getData(path, callback),
      (error, data, stat) => {
        if (error) return refusalOf(error) === 'NO_NODE' ? undefined : raise(error)
        return { data: data ?? Buffer.alloc(0), version: stat.version, mtimeMs: mtimeOf(stat) }
      },
    )
  }

  exists(path: string): Promise<boolean> {
    return this.#request<[ZookeeperStat | null], boolean>(
      path,
      callback => this.#client.exists(path, callback),
      (error, stat) => (error ? raise(error) : stat !== null && stat !== undefined),
    )
  }

  /** The names of a node's children, in no order; undefined where there is no such node. */
  children(path: string): Promise<string[] | undefined> {
    return this.#request<[string[]], string[] | undefined>(
      path,
      callback => this.#client.getChildren(path, callback),
      (error, children) => (error ? (refusalOf(error) === 'NO_NODE' ? undefined : raise(error)) : children),
    )
  }

  /** Ends what is under way with what an answer that the client could not read made it throw. */
  failUnread(cause: unknown): void {
    const message = `ZooKeeper at ${this.where} answered with something that node-zookeeper-client cannot read: ${errorMessage(cause)}. Is it over a quota?`
    this.#failAll(new ConnectionError(message, { cause, details: { where: this.where } }))
  }

  /** Lets go of the client, and ends it where it is our own. */
  async close(): Promise<void> {
    this.#end(new ConnectionError(`The store's connection to ZooKeeper at ${this.where} was closed. Call again to open a new one.`))
    if (this.#isOwn) await this.#closeClient()
    this.#client.removeListener('state', this.#onState)
  }

  readonly #onState = (state: { readonly name: string }): void => {
    if (state.name === 'AUTH_FAILED') this.#end(authRefused(this.where))
    if (state.name === 'EXPIRED') this.#end(this.#isOwn ? lostConnection(this.where) : this.#deadClient('has expired'))
    if (state.name === 'DISCONNECTED') {
      forgetPartialAnswer(this.#client)
      this.#failAll(lostConnection(this.where))
    }
    for (const wake of [...this.#waiting]) wake()
  }

  #isConnected(): boolean {
    return this.#ended === undefined && this.#client.getState().name === 'SYNC_CONNECTED'
  }

  #start(): void {
    if (this.#ended !== undefined) throw this.#ended
    const phase = connectionPhase(this.#client)
    if (phase === 'ended') this.#end(this.#deadClient('was closed or has expired'))
    if (phase === 'new') this.#client.connect()
  }

  #nextChange(withinMs: number, signal: AbortSignal | undefined): Promise<void> {
    const over = new AbortController()
    const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal])
    const changed = Promise.withResolvers<void>()
    this.#waiting.add(changed.resolve)
    const elapsed = this.#clock.sleep(withinMs, either).catch(error => {
      if (signal?.aborted) throw error
    })
    return Promise.race([changed.promise, elapsed]).finally(() => {
      this.#waiting.delete(changed.resolve)
      over.abort()
    })
  }

  #request<Values extends unknown[], T>(
    about: string,
    send: (callback: Callback<Values>) => void,
    read: (error: unknown, ...values: Values) => T,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#underWay.delete(fail)
        clearTimeout(timer)
      }
      const fail = (error: TidemarkError) => {
        settle()
        reject(error)
      }
      const giveUp = () => {
        if (!this.#underWay.has(fail)) return
        fail(lostConnection(this.where, new Error(`no answer within ${this.#answerWithinMs} ms`)))
        if (this.#isOwn) dropConnection(this.#client)
      }
      // After a look at the socket: where this thread was busy for so long, the answer has been waiting there.
      const timer = setTimeout(() => setImmediate(giveUp), this.#answerWithinMs)
      this.#underWay.add(fail)
      // What is thrown in a callback would go up into the client's own socket handler and leave it in the middle of an answer.
      const callback: Callback<Values> = (error, ...values) => {
        settle()
        try {
          resolve(read(error, ...values))
        } catch (thrown) {
          reject(describeZookeeperError(thrown, this.where, about))
        }
      }
      if (!this.#isConnected()) return fail(this.#ended ?? lostConnection(this.where))
      try {
        send(callback)
      } catch (thrown) {
        fail(new ConfigError(`ZooKeeper's client refuses ${about}: ${errorMessage(thrown)}.`, { cause: thrown }))
      }
    })
  }

  #add(transaction: ReturnType<ZookeeperClient['transaction']>, operation: Operation): void {
    switch (operation.do) {
      case 'create':
        transaction.create(operation.path, operation.data, this.#acl)
        return
      case 'set':
        transaction.setData(operation.path, operation.data, operation.version)
        return
      case 'check':
        transaction.check(operation.path, operation.version)
        return
      case 'remove':
        transaction.remove(operation.path, operation.version)
        return
      default:
        operation satisfies never
    }
  }

  #unreachable(): ConnectionError {
    const error = new ConnectionError(
      `ZooKeeper at ${this.where} cannot be reached: no connection within ${CONNECT_WITHIN_MS / 1000} s. Is it running, and is the address right?`,
      { details: { where: this.where } },
    )
    // The next call starts over with a new client, whatever state this one is in.
    if (this.#isOwn) this.#end(error)
    return error
  }

  #deadClient(why: string): ConnectionError {
    return new ConnectionError(
      `The client that zookeeperOffsets was given ${why}, and a client of node-zookeeper-client cannot be revived. ` +
        'Make a new client and a new store of it, or give `connect`, and the store replaces its client by itself.',
      { retryable: false, details: { where: this.where } },
    )
  }

  #end(error: TidemarkError): void {
    this.#ended ??= error
    this.#failAll(error instanceof AuthError ? error : lostConnection(this.where, error))
    for (const wake of [...this.#waiting]) wake()
  }

  #failAll(error: TidemarkError): void {
    for (const fail of [...this.#underWay]) fail(error)
  }

  /** In good order where there is a connection; else the client would go on trying for ever. */
  async #closeClient(): Promise<void> {
    const client = this.#client
    const isConnected = client.getState().name === 'SYNC_CONNECTED'
    const closed = new Promise<void>(resolve => client.on('state', () => resolve()))
    try {
      client.close()
    } catch {
      // It writes to its socket without looking, and there is none before the first connection. It counts as closing all the same.
    }
    const over = new AbortController()
    if (isConnected) await Promise.race([closed, this.#clock.sleep(1_000, over.signal).catch(() => {})])
    over.abort()
    dropConnection(client)
  }
}

function raise(error: unknown): never {
  throw error
}
