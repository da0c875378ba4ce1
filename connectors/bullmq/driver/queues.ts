import { Queue, QueueEvents } from 'bullmq'
import type { Cluster, Redis } from 'ioredis'
import { errorMessage } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import type { RedisTarget } from '../../../src/util/redis-line.ts'
import type { JobKeys } from '../keys.ts'
import type { PackMessage } from '../messages.ts'
import { addingConnection, listeningConnection, untilReady } from './connections.ts'

/** How long packs that ended are kept where no driver takes their reports, s. One that does removes them itself. */
const KEEP_SECONDS = 600
/** How many events a queue keeps: about as many packs as a listener may be behind. What it misses, a look finds. */
const KEEP_EVENTS = 500
/** How long a listener may take to close: while Redis is away its connection ends when it ends, ms. */
const CLOSE_WITHIN_MS = 1_000

/** What a queue's events say. They are hints: some are lost with their connection. */
export type QueueListener = {
  readonly onActive: (pack: string) => void
  /** `report` is what the executor returned. */
  readonly onCompleted: (pack: string, report: unknown) => void
  readonly onFailed: (pack: string, reason: string) => void
}

/** A pack on its way to an executor. */
export type OutgoingPack = { readonly id: string; readonly message: PackMessage }

/** The queues of a job's executors: adding packs to them, and hearing of those that end. */
export class Queues {
  readonly #keys: JobKeys
  readonly #log: Log
  readonly #listener: QueueListener
  readonly #adding: Redis | Cluster
  readonly #listening: Redis | Cluster
  readonly #queues = new Map<string, Queue>()
  readonly #events = new Map<string, QueueEvents>()

  constructor(target: RedisTarget, keys: JobKeys, log: Log, listener: QueueListener) {
    this.#keys = keys
    this.#log = log
    this.#listener = listener
    this.#adding = addingConnection(target)
    this.#listening = listeningConnection(target)
  }

  /** Resolves when packs can be added. @throws ConnectionError, AuthError and their like */
  ready(): Promise<void> {
    return untilReady(this.#adding)
  }

  /** Listens to one executor's queue from `since` on, ms by Redis' clock; does nothing where it listens already. */
  listen(executor: string, since: number): void {
    if (this.#events.has(executor)) return
    // From a time, and not from now on: a pack may be done before the listener has reached Redis.
    const events = new QueueEvents(executor, { ...this.#options(this.#listening), lastEventId: `${since}-0` })
    events.on('error', error => this.#log.debug({ executor }, `listening to executor ${executor}: ${errorMessage(error)}`))
    events.on('active', ({ jobId }) => this.#listener.onActive(jobId))
    events.on('completed', ({ jobId, returnvalue }) => this.#listener.onCompleted(jobId, returnvalue))
    events.on('failed', ({ jobId, failedReason }) => this.#listener.onFailed(jobId, failedReason))
    this.#events.set(executor, events)
  }

  /** Listens to none but these. */
  keep(executors: ReadonlySet<string>): void {
    for (const [executor, events] of this.#events) {
      if (executors.has(executor)) continue
      this.#events.delete(executor)
      events.close().catch(() => {})
    }
    for (const [executor, queue] of this.#queues) {
      if (executors.has(executor)) continue
      this.#queues.delete(executor)
      queue.close().catch(() => {})
    }
  }

  /** Adds packs in one go. After an error some of them may be there: who added looks. */
  async add(executor: string, stream: string, packs: readonly OutgoingPack[]): Promise<void> {
    const kept = { age: KEEP_SECONDS }
    const jobs = packs.map(({ id, message }) => ({
      // By the name a later driver of the stream knows what was meant for it.
      name: stream,
      data: message,
      opts: { jobId: id, attempts: 1, removeOnComplete: kept, removeOnFail: kept },
    }))
    await this.#queue(executor).addBulk(jobs)
  }

  /** Removes all that is left of an executor that is gone for good. */
  async remove(executor: string): Promise<void> {
    this.keep(new Set([...this.#queues.keys(), ...this.#events.keys()].filter(id => id !== executor)))
    const queue = this.#queue(executor)
    this.#queues.delete(executor)
    await queue.obliterate({ force: true })
    await queue.close()
  }

  async close(): Promise<void> {
    const closing = [...this.#events.values(), ...this.#queues.values()].map(each => each.close().catch(() => {}))
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, CLOSE_WITHIN_MS)
    await Promise.race([Promise.all(closing), late.promise])
    clearTimeout(timer)
    this.#adding.disconnect()
    this.#listening.disconnect()
  }

  #queue(executor: string): Queue {
    let queue = this.#queues.get(executor)
    if (queue === undefined) {
      queue = new Queue(executor, { ...this.#options(this.#adding), streams: { events: { maxLen: KEEP_EVENTS } } })
      queue.on('error', error => this.#log.debug({ executor }, `queue of executor ${executor}: ${errorMessage(error)}`))
      this.#queues.set(executor, queue)
    }
    return queue
  }

  #options(connection: Redis | Cluster) {
    // The version was checked at the start: BullMQ would print what it thinks of it.
    return { connection, prefix: this.#keys.queuePrefix, skipVersionCheck: true, skipWaitingForReady: true }
  }
}
