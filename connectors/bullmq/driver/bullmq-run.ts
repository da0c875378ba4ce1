import { ConnectionError, errorMessage, FencedError, isTidemarkError } from '../../../src/core/errors.ts'
import type { ExecutorRun, RunOptions, TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import type { RunInfo } from '../messages.ts'
import type { Look, SeenRun } from '../registry.ts'
import type { After } from './open-packs.ts'
import { PackCanceller } from './pack-canceller.ts'
import { PackSender } from './pack-sender.ts'
import { PackWatch } from './pack-watch.ts'
import type { Pack, Work } from './packs.ts'
import { readReport } from './read-report.ts'
import { batchOf, type RunParts, RunState } from './run-parts.ts'

/** Events are hints: so often a driver looks for itself, ms. */
const LOOK_EVERY_MS = 500

/**
 * A run of a job whose tasks run on other machines. It keeps no truth: what is to be done is in the intent of the offset store, and whatever Redis or an
 * executor loses goes out again under a new id.
 */
export class BullmqRun implements ExecutorRun {
  readonly #parts: RunParts
  readonly #state: RunState
  readonly #sender: PackSender
  readonly #canceller: PackCanceller
  readonly #watch: PackWatch
  #info: RunInfo
  /** What Redis was told last. */
  #told: RunInfo
  #looking: Promise<void> | undefined
  #lookAgain = false
  #closing: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(parts: RunParts) {
    this.#parts = parts
    this.#info = parts.info
    this.#told = parts.info
    this.#state = new RunState(parts.context)
    const lookSoon = () => this.#lookSoon()
    const onOver = (after: After) => this.#after(after)
    this.#sender = new PackSender(parts, this.#state, { onSend: works => this.#note(works) })
    this.#canceller = new PackCanceller(parts, this.#state, { lookSoon, onOver })
    this.#watch = new PackWatch(parts, this.#state, this.#sender, {
      ...{ lookSoon, onOver },
      onReport: (id, report) => this.onReport(id, report),
      onFailed: (id, reason) => this.onFailed(id, reason),
    })
  }

  /** The first look at who is there. @throws ConnectionError and its like */
  async begin(): Promise<void> {
    this.#see(await this.#parts.registry.look(this.#info, []))
    this.#lookLater()
  }

  run(group: TaskGroup, options: RunOptions): Promise<readonly TaskResult[]> {
    if (options.signal.aborted) return Promise.reject(options.signal.reason)
    if (this.#closing !== undefined) return Promise.reject(runIsOver())
    const { promise, resolve, reject } = Promise.withResolvers<readonly TaskResult[]>()
    const work: Work = { group, options, resolve, reject, since: performance.now(), attempts: 0, deaths: 0, packs: [], isSettled: false }
    this.#state.open.works.add(work)
    this.#canceller.watch(work)
    this.#sender.sendSoon([work])
    return promise
  }

  /** Takes no more, and waits for what runs. */
  close(): Promise<void> {
    this.#closing ??= this.#state.open.idle().then(() => this.#end())
    return this.#closing
  }

  async #end(): Promise<void> {
    const { registry, scripts, queues, line, context } = this.#parts
    const { open, cancelled, over } = this.#state
    this.#state.isClosed = true
    clearTimeout(this.#timer)
    // Twins, and attempts that somebody else's came before.
    const left = open.all()
    try {
      await Promise.all([this.#looking, ...left.map(({ added }) => added)])
      const taken = new Set(await scripts.takeBack(left))
      for (const pack of left) if (!taken.has(pack)) cancelled.add(pack.id)
      await scripts.forget(over)
      if (cancelled.size > 0) {
        this.#told = this.#info
        await registry.look(this.#info, [...cancelled])
      }
      await registry.end(this.#told)
    } catch (error) {
      // What is left is of a batch that is over: destinations refuse it, and the stream's next driver removes it.
      context.log.debug({ err: error }, `the run's packs could not be removed: ${errorMessage(error)}`)
    } finally {
      await queues.close()
      line.close()
    }
  }

  /** An event of a queue says that a pack is being worked on. */
  onActive(id: string): void {
    const pack = this.#state.open.get(id)
    if (pack !== undefined) pack.startedAt ??= performance.now()
  }

  /** An event, or a look, says that a pack has ended. */
  onReport(id: string, returned: unknown): void {
    const { open, over, lastPlaces, pace } = this.#state
    const pack = open.get(id)
    if (pack === undefined) {
      this.#noteLate(id)
      return
    }
    const report = readReport(returned)
    if ('unreadable' in report) {
      this.onFailed(id, `its report cannot be read: ${report.unreadable}`)
      return
    }
    over.push(pack)
    if ('refused' in report) {
      this.#parts.executors.refuse(pack.executor, report.refused)
      this.#after(open.lose(pack))
      return
    }
    for (const [at, { group }] of pack.works.entries()) {
      const outcome = report.groups[at]
      // Where it failed it need not fail again: this machine may be the only one that cannot reach a destination.
      if (outcome !== undefined && 'results' in outcome) lastPlaces.set(group.range, pack.executor)
      else lastPlaces.delete(group.range)
    }
    // Where its event was lost it counts all the same, or with too few of them nobody would ever be called slow.
    if (!pack.isCancelled) pace.end(batchOf(pack.works[0]), performance.now() - (pack.startedAt ?? pack.sentAt))
    this.#after(open.report(pack, report.groups))
  }

  /** An executor failed before it could report. */
  onFailed(id: string, reason: string): void {
    const { open, over } = this.#state
    const pack = open.get(id)
    if (pack === undefined) return
    const { executor } = pack
    this.#parts.context.log.warn({ pack: id, executor }, `executor ${executor} failed on a pack, which goes out again: ${reason}`)
    over.push(pack)
    this.#after(open.lose(pack, { died: true }))
  }

  #after({ again, moot }: After): void {
    if (moot.length > 0) this.#canceller.cancel(moot).catch(this.#state.note('packs could not be cancelled'))
    this.#sender.sendSoon(again)
  }

  #noteLate(id: string): void {
    if (!id.endsWith(`-${this.#parts.nonce}`)) return
    this.#parts.context.log.debug({ pack: id }, `the report of pack ${id} is late and does not count`)
  }

  /** What the run says of itself from here on; with its first batch it searches for what an earlier driver has left. */
  #note([work]: readonly Work[]): void {
    const [task] = work?.group.tasks ?? []
    if (task === undefined || (this.#info.batchId === task.batchId && this.#info.epoch === task.epoch)) return
    const isFirst = this.#info.epoch === undefined
    this.#info = { ...this.#info, epoch: task.epoch, batchId: task.batchId }
    if (isFirst) this.#lookSoon()
  }

  #lookLater(): void {
    if (!this.#state.isClosed) this.#timer = setTimeout(() => this.#lookSoon(), LOOK_EVERY_MS)
  }

  /** One look at a time; asked for during one, another follows it. */
  #lookSoon(): void {
    if (this.#state.isClosed) return
    if (this.#looking !== undefined) {
      this.#lookAgain = true
      return
    }
    clearTimeout(this.#timer)
    this.#lookAgain = false
    this.#looking = this.#look().finally(() => {
      this.#looking = undefined
      if (this.#lookAgain) this.#lookSoon()
      else this.#lookLater()
    })
  }

  async #look(): Promise<void> {
    const { registry, scripts } = this.#parts
    const { cancelled, open, outage } = this.#state
    try {
      const told = [...cancelled]
      this.#info = { ...this.#info, groupsLeft: open.works.size }
      this.#told = this.#info
      this.#see(await registry.look(this.#info, told))
      for (const id of told) cancelled.delete(id)
      if (this.#info.epoch !== undefined) await this.#watch.sweep(this.#info.epoch)
      await this.#watch.look()
      outage.end()
      const over = this.#state.over
      const held = new Set(await scripts.forget(over.slice()))
      const asked = new Set(over)
      this.#state.over = this.#state.over.filter(pack => held.has(pack) || !asked.has(pack))
      this.#sender.sendUnsent()
    } catch (error) {
      this.#lost(error)
    }
  }

  #see({ executors, runs, forgotten, now }: Look): void {
    const { queues, executors: known } = this.#parts
    const { open } = this.#state
    known.see(executors)
    const newer = findNewer(this.#info, runs)
    if (newer !== undefined) {
      for (const work of open.works) open.fail(work, newer)
      this.#drop(open.dropSettled())
    }
    for (const { id } of known.ready) queues.listen(id, now)
    queues.keep(new Set([...executors.map(({ info }) => info.id), ...open.all().map(({ executor }) => executor)]))
    for (const id of forgotten) queues.remove(id).catch(this.#state.note(`the queue of executor ${id} could not be removed`))
  }

  /** Packs that nobody waits for any more are told to end, and count for nothing. */
  #drop(packs: readonly Pack[]): void {
    for (const { id } of packs) this.#state.cancelled.add(id)
    this.#state.over.push(...packs)
  }

  /** While Redis is away tasks wait, and nothing of them is lost; not for ever, for whoever gave them has a patience of its own. */
  #lost(error: unknown): void {
    const { open, outage, cancelled, isClosed } = this.#state
    if (isClosed) return
    if (!isTidemarkError(error)) {
      this.#parts.context.log.error({ err: error }, `looking for executors failed: ${errorMessage(error)}`)
      return
    }
    outage.begin()
    this.#state.tell(error)
    for (const work of open.works) {
      if (error.retryable && !outage.isLongFor(work.since)) continue
      for (const { id } of work.packs) cancelled.add(id)
      open.fail(work, error)
    }
    this.#drop(open.dropSettled())
  }
}

/** Destinations refuse what an older driver sends; it need not send it. */
function findNewer({ stream, streamId, epoch }: RunInfo, runs: readonly SeenRun[]): FencedError | undefined {
  const run = runs.find(({ info }) => info.stream === stream && info.streamId === streamId)?.info
  if (epoch === undefined || run?.epoch === undefined || run.epoch <= epoch) return undefined
  return new FencedError(
    `Stream ${stream} has another driver, on ${run.host} (pid ${run.pid}) with epoch ${run.epoch}; this one, with epoch ${epoch}, gives out nothing more.`,
    { details: { stream, epoch, newest: run.epoch } },
  )
}

function runIsOver(): ConnectionError {
  return new ConnectionError('The run is over, and its tasks are not given to executors any more.', { retryable: false })
}
