import type { Clock } from '../../src/core/clock.ts'
import { ConfigError, ConnectionError } from '../../src/core/errors.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import { catchUnreadableAnswers } from './client-internals.ts'
import type { ZookeeperSource } from './options.ts'
import { Session } from './session.ts'
import type { ZookeeperAcl } from './zookeeper-client.ts'
import { isLostConnection } from './zookeeper-error.ts'

const RESEND_FOR_MS = 10_000
const LONGEST_PAUSE_MS = 500

/** What a lost connection is known by: as long as any client takes, where it is the caller's and its timeout is not ours to know. */
const ANSWER_WITHIN_MS = 10_000

/** Bounds the client's own random wait between two attempts to connect. */
const RECONNECT_WITHIN_MS = 200

/**
 * The store's connection, made on first use. A client that can never be used again (an expired session, refused credentials, a server that was not
 * reached in time) is replaced where it is our own.
 */
export class ZookeeperConnection {
  readonly #source: ZookeeperSource
  readonly #acl: 'creator' | 'open'
  readonly #clock: Clock
  #session: Promise<Session> | undefined
  #closings = 0

  constructor(source: ZookeeperSource, { acl, clock }: { readonly acl: 'creator' | 'open'; readonly clock: Clock }) {
    this.#source = source
    this.#acl = acl
    this.#clock = clock
  }

  /**
   * Runs `run` with a session that is connected, and once more whenever the connection is lost under it, for ten seconds. `isAgain` says that what
   * was sent before may have been carried out. Throws `ConnectionError`, with an outcome that is not known.
   */
  async attempt<T>(options: CallOptions, run: (session: Session, isAgain: boolean) => Promise<T>): Promise<T> {
    options.signal?.throwIfAborted()
    const working = this.#attempt(options.signal, run)
    return options.signal === undefined ? working : untilAborted(working, options.signal)
  }

  async close(): Promise<void> {
    this.#closings += 1
    const opened = this.#session
    this.#session = undefined
    const session = await opened?.catch(() => undefined)
    await session?.close()
  }

  async #attempt<T>(signal: AbortSignal | undefined, run: (session: Session, isAgain: boolean) => Promise<T>): Promise<T> {
    const closings = this.#closings
    let giveUpAt = Number.POSITIVE_INFINITY
    for (let tried = 0; ; tried++) {
      try {
        return await run(await this.#ready(signal, closings), tried > 0)
      } catch (error) {
        if (giveUpAt === Number.POSITIVE_INFINITY) giveUpAt = this.#clock.monotonic() + RESEND_FOR_MS
        if (!isLostConnection(error) || this.#clock.monotonic() >= giveUpAt) throw error
      }
      if (tried > 0) await this.#clock.sleep(Math.min(10 * 2 ** tried, LONGEST_PAUSE_MS), signal)
    }
  }

  /** `closings` is how often the connection had been closed when the call began: one that a close cut off must not open it again behind its back. */
  async #ready(signal: AbortSignal | undefined, closings: number): Promise<Session> {
    if (closings !== this.#closings) throw new ConnectionError('The offset store in ZooKeeper was closed in the middle of this call.')
    const opening = this.#session ?? this.#open()
    this.#session = opening
    try {
      const session = await opening
      if (session.ended !== undefined && !('client' in this.#source)) {
        await this.#forget(opening)
        return await this.#ready(signal, closings)
      }
      await session.ready(signal)
      return session
    } catch (error) {
      // A caller that no longer waits says nothing about the session.
      if (!signal?.aborted) await this.#forget(opening)
      throw error
    }
  }

  async #forget(opening: Promise<Session>): Promise<void> {
    if (this.#session !== opening) return
    this.#session = undefined
    const session = await opening.catch(() => undefined)
    await session?.close()
  }

  async #open(): Promise<Session> {
    const source = this.#source
    const acl = this.#acl === 'creator' ? await creatorAcl() : undefined
    if ('client' in source) {
      return new Session(source.client, { isOwn: false, acl, clock: this.#clock, answerWithinMs: ANSWER_WITHIN_MS })
    }
    const { servers, auth, sessionTimeoutMs } = source
    const { createClient } = await loadPackage()
    const client = createClient(servers, { sessionTimeout: sessionTimeoutMs, spinDelay: RECONNECT_WITHIN_MS, retries: 0 })
    // As the Java client does it.
    const answerWithinMs = Math.floor((sessionTimeoutMs * 2) / 3)
    const session = new Session(client, { isOwn: true, acl, clock: this.#clock, answerWithinMs })
    catchUnreadableAnswers(client, error => session.failUnread(error))
    if (auth !== undefined) client.addAuthInfo(auth.scheme, Buffer.from(auth.auth))
    client.connect()
    return session
  }
}

async function creatorAcl(): Promise<ZookeeperAcl[]> {
  const { ACL, Id, Permission } = await loadPackage()
  return [new ACL(Permission.ALL, new Id('auth', ''))]
}

/** Loaded on first use, and by nobody who does not use this store. */
async function loadPackage() {
  try {
    return (await import('node-zookeeper-client')).default
  } catch (cause) {
    throw new ConfigError(
      'zookeeperOffsets needs the package node-zookeeper-client, which is not installed: npm install node-zookeeper-client',
      {
        cause,
      },
    )
  }
}
