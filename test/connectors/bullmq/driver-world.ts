import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { onTestFinished } from 'vitest'
import { type BullmqOptions, bullmq, serveTasks, type TaskServer } from '../../../connectors/bullmq/index.ts'
import type { TidemarkError } from '../../../src/core/errors.ts'
import type { ExecutorRun, TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import { doorOf, type RunnableOptions } from '../../../src/core/job-door.ts'
import type { Log } from '../../../src/core/log.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { RunnableJob } from '../../../src/core/runnable-job.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { NodeProcess } from '../../src/cli/node-process.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { services } from '../../support/services.ts'
import { temporaryFolder } from '../files/temporary-folder.ts'
import job, { type Note, readNotes } from './driver-job.ts'

const script = fileURLToPath(new URL('./driver-executor.ts', import.meta.url))

export type GroupOptions = {
  readonly topic?: 'quick' | 'hold' | 'fail' | 'exit'
  readonly output?: 'plain' | 'twins'
  readonly batchId?: number
  readonly epoch?: number
  readonly stream?: string
}

/** A driver and its executors over one Redis, with keys of their own. All of it goes with the test. */
export class DriverWorld {
  readonly url: string
  readonly prefix: string
  readonly redis: Redis
  readonly logged: string[] = []
  readonly troubles: TidemarkError[] = []
  readonly #folder = temporaryFolder()

  constructor(url = services().redis, prefix = `driver-${systemRandom.id(8)}`) {
    this.url = url
    this.prefix = prefix
    this.redis = new Redis(url)
    this.redis.on('error', () => {})
    process.env.DRIVER_TEST_FOLDER = this.#folder
    onTestFinished(() => this.redis.disconnect())
  }

  async driver(options: Partial<BullmqOptions> = {}, { stream }: RunnableOptions = {}): Promise<ExecutorRun> {
    const over = new AbortController()
    const run = await bullmq({
      ...(options.client === undefined && { url: this.url }),
      prefix: this.prefix,
      ...options,
    } as BullmqOptions).start(runnable(stream === undefined ? {} : { stream }), {
      streamId: `id-of-${stream ?? 'fleet'}`,
      log: this.#log(),
      signal: over.signal,
      onTrouble: error => this.troubles.push(error),
    })
    onTestFinished(async () => {
      this.letGo()
      over.abort()
      await run.close()
    })
    return run
  }

  /** An executor in this process. */
  async server(slots = 1, served: unknown = job, { client }: Pick<BullmqOptions, 'client'> = {}): Promise<TaskServer> {
    const target = client === undefined ? { url: this.url } : { client }
    const server = await serveTasks(served, { ...target, prefix: this.prefix, slots, executor: inProcess({ concurrency: slots }) })
    onTestFinished(() => server.stop())
    return server
  }

  /** An executor in a process of its own. */
  async child(slots = 1): Promise<{ readonly process: NodeProcess; readonly id: string; readonly pid: number }> {
    const process = new NodeProcess(['--conditions=tidemark-source', script, this.url, this.prefix, String(slots)])
    await process.says(/up \S+\n/)
    return { process, id: /up (\S+)/.exec(process.stderr)?.[1] ?? '', pid: process.child.pid ?? 0 }
  }

  /** The URL of a user of this Redis to whom queues' events never come. */
  async blindUrl(): Promise<string> {
    const user = `${this.prefix}-blind`
    await this.redis.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '+@all', '-xread')
    onTestFinished(async () => void (await this.redis.call('ACL', 'DELUSER', user)))
    const url = new URL(this.url)
    url.username = user
    url.password = 'secret'
    return url.href
  }

  /** Lets tasks end that hold: all, one by its index, or those of a process. */
  letGo(which: 'all' | { readonly index: number } | { readonly pid: number } = 'all'): void {
    const name = which === 'all' ? 'go' : 'index' in which ? `go-index-${which.index}` : `go-process-${which.pid}`
    writeFileSync(join(this.#folder, name), '')
  }

  notes(what: Note['what']): Note[] {
    return readNotes().filter(note => note.what === what)
  }

  untilNoted(what: Note['what'], count: number): Promise<void> {
    return waitUntil(`${count} tasks ${what}`, async () => this.notes(what).length >= count)
  }

  untilLogged(text: string | RegExp): Promise<void> {
    return waitUntil(`the driver says ${text}`, async () => this.logged.some(line => line.match(text) !== null))
  }

  /** Resolves when the driver has looked at its packs so many times more. */
  async untilLooked(times: number): Promise<void> {
    const seen = new Set<string | null>()
    await waitUntil(`the driver looks ${times} times`, async () => {
      const said = await this.redis.hget(`{${this.prefix}:fleet}:runs`, 'fleet')
      return seen.add(said?.split('|')[0] ?? null).size > times
    })
  }

  /** How many jobs were ever added to an executor's queue. */
  async jobsOf(executor: string): Promise<number> {
    return Number(await this.redis.get(`{${this.prefix}:fleet}:${executor}:id`))
  }

  /** Ids in the queues' lists of jobs that wait and that are worked on. */
  async queued(executor: string): Promise<string[]> {
    const queue = `{${this.prefix}:fleet}:${executor}`
    return [...(await this.redis.lrange(`${queue}:wait`, 0, -1)), ...(await this.redis.lrange(`${queue}:active`, 0, -1))]
  }

  #log(): Log {
    const note = (_fields: object, message = '') => void this.logged.push(message)
    return { debug: note, info: note, warn: note, error: note }
  }
}

export function runnable(options: RunnableOptions = {}): RunnableJob {
  const door = doorOf(job)
  if (door === undefined) throw new TypeError('The job has no door.')
  return door.runnable(options)
}

/** A range's task, as the dispatcher makes it. */
export function group(
  index: number,
  { topic = 'quick', output = 'plain', batchId = 1, epoch = 1, stream = 'fleet' }: GroupOptions = {},
): TaskGroup {
  const range = { topic, partition: index, fromOffset: 0, untilOffset: 10 }
  const attempt = `${epoch}-${batchId}-${index}-1-${systemRandom.id(4)}`
  return {
    ...{ range, isolation: 'read_committed', timeoutMs: 60_000, onRecordError: 'fail' },
    onDataLoss: { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' },
    tasks: [{ stream, batchId, epoch, index, range, batchTime: 0, output, attempt }],
  }
}

/** Runs groups of one batch, asked for in one turn; results in their order. */
export function runAll(run: ExecutorRun, groups: readonly TaskGroup[], signal = new AbortController().signal): Promise<TaskResult[][]> {
  return Promise.all(groups.map(async each => [...(await run.run(each, { signal }))]))
}

/** So many groups that begin alike. */
export function groups(count: number, options: GroupOptions = {}): TaskGroup[] {
  return Array.from({ length: count }, (_, index) => group(index, options))
}
