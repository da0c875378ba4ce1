import type { Clock } from '../../../src/core/clock.ts'
import type { Executor, ExecutorRun } from '../../../src/core/executor.ts'
import type { JobDoor } from '../../../src/core/job-door.ts'
import type { Log } from '../../../src/core/log.ts'
import { release, resourcesOf, retain } from '../../../src/core/shared-resources.ts'
import { untilAborted } from '../../../src/util/until-aborted.ts'

/** Which run of the job a pack belongs to. */
type RunKey = { readonly stream: string; readonly streamId: string; readonly outputs: readonly string[] }

/** How long a run stays open, with its connections, when no pack comes for it, ms. */
const IDLE_MS = 600_000
/** Made once: an abort without a reason makes an error each time. */
const IN_USE = new Error('the run is in use again')

type LocalRun = RunKey & { readonly started: Promise<StartedRun>; users: number; idle: AbortController | undefined }
type StartedRun = { readonly run: ExecutorRun; readonly close: () => Promise<void> }

/**
 * The runs that are open here: one a stream and its outputs, opened by its first pack. A stream that its store knows by another id now (it was removed
 * and made again) is another run, and the one before is closed when its last pack has ended.
 */
export class LocalRuns {
  readonly #door: JobDoor
  readonly #executor: Executor
  readonly #log: Log
  readonly #clock: Clock
  readonly #runs = new Map<string, LocalRun>()
  readonly #closing = new Set<Promise<void>>()

  constructor(door: JobDoor, executor: Executor, { log, clock }: { readonly log: Log; readonly clock: Clock }) {
    this.#door = door
    this.#executor = executor
    this.#log = log
    this.#clock = clock
  }

  /** Gives `work` the run; packs that come first together share its start. One that cannot start is tried again by the next pack. */
  async use<T>(key: RunKey, signal: AbortSignal, work: (run: ExecutorRun) => Promise<T>): Promise<T> {
    const local = this.#open(key)
    local.users += 1
    local.idle?.abort(IN_USE)
    try {
      // A sink that never opens must not keep a pack that nobody waits for.
      const { run } = await untilAborted(local.started, signal)
      return await work(run)
    } finally {
      local.users -= 1
      if (local.users === 0) this.#rest(local)
    }
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    for (const local of this.#runs.values()) this.#close(local)
    await Promise.all(this.#closing)
  }

  #open(key: RunKey): LocalRun {
    const name = nameOf(key)
    for (const other of this.#runs.values()) {
      if (other.users === 0 && other.stream === key.stream && other.streamId !== key.streamId) this.#close(other)
    }
    const known = this.#runs.get(name)
    if (known !== undefined) return known
    const local: LocalRun = { ...key, started: this.#start(key), users: 0, idle: undefined }
    this.#runs.set(name, local)
    local.started.catch(() => this.#forget(local))
    return local
  }

  async #start({ stream, streamId, outputs }: RunKey): Promise<StartedRun> {
    // What is closing may be the same sinks: they are opened again only then.
    await Promise.all(this.#closing)
    const job = this.#door.runnable({ stream, outputs })
    const resources = this.#executor.usesGivenJob ? resourcesOf(job) : []
    for (const resource of resources) retain(resource)
    const over = new AbortController()
    const closeResources = () => closeAll(resources.map(resource => () => release(resource)))
    try {
      const run = await this.#executor.start(job, { streamId, log: this.#log, signal: over.signal })
      const close = async () => {
        over.abort(new Error('the run is over'))
        await closeAll([() => run.close(), closeResources])
      }
      return { run, close }
    } catch (error) {
      over.abort(error)
      await closeResources().catch(() => {})
      throw error
    }
  }

  #rest(local: LocalRun): void {
    if (this.#runs.get(nameOf(local)) !== local) return
    const isReplaced = Iterator.from(this.#runs.values()).some(
      ({ stream, streamId }) => stream === local.stream && streamId !== local.streamId,
    )
    if (isReplaced) {
      this.#close(local)
      return
    }
    local.idle = new AbortController()
    this.#clock.sleep(IDLE_MS, local.idle.signal).then(
      () => {
        // A pack may have come in the turn in which the time was over.
        if (local.users === 0) this.#close(local)
      },
      () => {},
    )
  }

  #close(local: LocalRun): void {
    local.idle?.abort(IN_USE)
    if (!this.#forget(local)) return
    const closed = local.started
      .then(({ close }) => close())
      .catch(error => this.#log.warn({ err: error, stream: local.stream }, 'a run that is over could not be closed'))
      .finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }

  /** Whether it was among the open ones. */
  #forget(local: LocalRun): boolean {
    return this.#runs.get(nameOf(local)) === local && this.#runs.delete(nameOf(local))
  }
}

function nameOf({ stream, streamId, outputs }: RunKey): string {
  return JSON.stringify([stream, streamId, outputs.toSorted()])
}

/** Closes one after another, all of them, and throws the first error. */
async function closeAll(closes: readonly (() => Promise<void>)[]): Promise<void> {
  const errors: unknown[] = []
  for (const close of closes) {
    try {
      await close()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
