import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import type { TestContext } from 'vitest'
import { ControlLine } from '../../../connectors/bullmq/control-line.ts'
import type { ServeOptions } from '../../../connectors/bullmq/host/host-options.ts'
import { serveTasks } from '../../../connectors/bullmq/host/serve-tasks.ts'
import type { TaskServer } from '../../../connectors/bullmq/host/task-server.ts'
import { type JobKeys, jobKeys, lockKey, queueKeys } from '../../../connectors/bullmq/keys.ts'
import {
  BULLMQ_VERSION,
  type ExecutorInfo,
  type GroupReport,
  type PackMessage,
  type PackReport,
} from '../../../connectors/bullmq/messages.ts'
import { Registry } from '../../../connectors/bullmq/registry.ts'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { fingerprintJob, type JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import type { Log } from '../../../src/core/log.ts'
import type { JobOrigin } from '../../../src/core/runnable-job.ts'
import { groupsToWire } from '../../../src/core/task-wire.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import contractJob, { CONTRACT_JOB, contractDoor } from '../../../src/testing/executor/contract-job.ts'
import { folderOf, makeFolder, type Note, openGate, readNotes } from '../../../src/testing/executor/notes.ts'
import { waitUntil } from '../../support/services/wait-until.ts'

let worlds = 0

type SendOptions = {
  readonly id?: string
  readonly streamId?: string
  readonly fingerprint?: JobFingerprint
  readonly outputs?: readonly string[]
}

/** What a driver does to one executor, by hand and a step at a time, with the executor contract's job. Each has a prefix and a stream of its own. */
export class HostWorld {
  readonly url: string
  readonly prefix: string
  readonly stream: string
  readonly keys: JobKeys
  readonly registry: Registry
  readonly redis: Redis
  readonly fingerprint: JobFingerprint
  readonly #line: ControlLine
  readonly #queues = new Map<string, Queue>()
  readonly #servers: TaskServer[] = []
  #packs = 0

  constructor(url: string, { onTestFinished }: Pick<TestContext, 'onTestFinished'>, job: string = CONTRACT_JOB) {
    worlds += 1
    this.url = url
    this.prefix = `host-${process.pid}-${worlds}-${Date.now()}`
    this.stream = this.prefix
    makeFolder(this.stream)
    this.keys = jobKeys(this.prefix, job)
    this.redis = new Redis(url, { maxRetriesPerRequest: null })
    this.redis.on('error', () => {})
    this.#line = new ControlLine({ url }, 'test')
    this.registry = new Registry(this.#line, this.keys)
    this.fingerprint = fingerprintJob(contractDoor.runnable().origin as JobOrigin)
    onTestFinished(() => this.#close())
  }

  /** An executor in this process, which ends with the test. */
  async serve(options: Partial<Omit<ServeOptions, 'url' | 'client'>> = {}): Promise<TaskServer> {
    const server = await serveTasks(contractJob, { url: this.url, prefix: this.prefix, executor: inProcess(), slots: 2, ...options })
    this.#servers.push(server)
    return server
  }

  /** Puts a pack into an executor's queue; gives its id. */
  async send(executor: string, groups: readonly TaskGroup[], options: SendOptions = {}): Promise<string> {
    this.#packs += 1
    const { id = `1-1-${this.#packs}-1`, streamId = `id of ${this.stream}`, fingerprint = this.fingerprint } = options
    const outputs = options.outputs ?? [...new Set(groups.flatMap(({ tasks }) => tasks.map(({ output }) => output)))]
    const message: PackMessage = { v: BULLMQ_VERSION, streamId, outputs, fingerprint, groups: groupsToWire(groups) }
    await this.sendMessage(executor, id, message)
    return id
  }

  async sendMessage(executor: string, id: string, message: unknown): Promise<void> {
    await this.queue(executor).add('pack', message, { jobId: id })
  }

  /** What an executor has reported of a pack, when it has. */
  async report(executor: string, id: string): Promise<readonly GroupReport[]> {
    const { job } = queueKeys(this.keys, executor)
    let text: string | null = null
    await waitUntil(`the report of ${id}`, async () => {
      text = await this.redis.hget(job(id), 'returnvalue')
      return text !== null
    })
    return (JSON.parse(text ?? '') as PackReport).groups
  }

  /** Takes a report away, as drivers do. */
  async forget(executor: string, id: string): Promise<void> {
    await this.queue(executor).remove(id)
  }

  isLocked(executor: string, id: string): Promise<boolean> {
    return this.redis.exists(lockKey(this.keys, executor, id)).then(count => count === 1)
  }

  async untilLocked(executor: string, id: string): Promise<void> {
    await waitUntil(`the lock of ${id}`, () => this.isLocked(executor, id))
  }

  /** A driver's heartbeat, under the name of the world's stream. */
  async look({
    epoch = 1,
    cancelled = [],
    fingerprint = this.fingerprint,
    streamId = `id of ${this.stream}`,
  }: LookOptions = {}): Promise<ExecutorInfo[]> {
    const info = {
      v: BULLMQ_VERSION,
      stream: this.stream,
      streamId,
      fingerprint,
      epoch,
      host: 'driver',
      pid: 1,
      startedAt: 1,
      batchId: 1,
      groupsLeft: 0,
    } as const
    const { executors } = await this.registry.look(info, cancelled)
    return executors.map(seen => seen.info)
  }

  notes(): readonly Note[] {
    return readNotes(folderOf(this.stream))
  }

  async untilNoted(what: string, isIt: (note: Note) => boolean): Promise<void> {
    await waitUntil(what, async () => this.notes().some(isIt))
  }

  openGate(): void {
    openGate(folderOf(this.stream))
  }

  queue(executor: string): Queue {
    const known = this.#queues.get(executor)
    if (known !== undefined) return known
    const queue = new Queue(executor, { connection: this.redis, prefix: this.keys.queuePrefix, skipVersionCheck: true })
    queue.on('error', () => {})
    this.#queues.set(executor, queue)
    return queue
  }

  async #close(): Promise<void> {
    this.openGate()
    await Promise.all(this.#servers.map(server => server.stop()))
    this.redis.disconnect()
    await Promise.all(Array.from(this.#queues.values(), queue => queue.close().catch(() => {})))
    this.#line.close()
  }
}

type LookOptions = {
  readonly epoch?: number
  readonly cancelled?: readonly string[]
  readonly fingerprint?: JobFingerprint
  readonly streamId?: string
}

/** A log that a test reads. */
export class Lines implements Log {
  readonly said: { readonly level: string; readonly message: string }[] = []

  debug(): void {}
  info(_fields: object, message = ''): void {
    this.said.push({ level: 'info', message })
  }
  warn(_fields: object, message = ''): void {
    this.said.push({ level: 'warn', message })
  }
  error(_fields: object, message = ''): void {
    this.said.push({ level: 'error', message })
  }

  async untilSays(text: string | RegExp): Promise<void> {
    await waitUntil(`the log says ${text}`, async () =>
      this.said.some(({ message }) => (typeof text === 'string' ? message.includes(text) : text.test(message))),
    )
  }
}

/** The error of a group's report. */
export function errorOf(report: GroupReport | undefined): {
  readonly name: string
  readonly message: string
  readonly code: string | undefined
  readonly details: unknown
} {
  if (report === undefined || !('error' in report)) throw new Error(`The group did not fail: ${JSON.stringify(report)}`)
  const { name, message, tidemark } = report.error
  return { name, message, code: tidemark?.code, details: tidemark?.details }
}

/** How many rows each task of a group has written. */
export function rowsOf(report: GroupReport | undefined): number[] {
  if (report === undefined || !('results' in report)) throw new Error(`The group failed: ${JSON.stringify(report)}`)
  return report.results.map(([, , rows]) => rows)
}
