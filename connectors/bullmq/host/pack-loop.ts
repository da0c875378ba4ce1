import type { Job, Worker } from 'bullmq'
import type { Clock } from '../../../src/core/clock.ts'
import { errorMessage, FencedError, isTidemarkError, TaskFailedError } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import { answerWithin } from '../../../src/util/answer-within.ts'
import type { PackMessage } from '../messages.ts'
import { capReport } from './cap-report.ts'
import type { Heard } from './heartbeat.ts'
import { HeldPack } from './held-pack.ts'
import { type PackContext, runPack } from './run-pack.ts'

type PackLoopOptions = PackContext & {
  readonly slots: number
  readonly lockMs: number
  readonly maxReportBytes: number
  /** Resolves when it was heard what drivers have said by now, or Redis gives no answer. */
  readonly listen: () => Promise<void>
  /** Takes a pack that has no lock any more out of the queue. */
  readonly forget: (pack: string) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

type PackJob = Job<PackMessage>

/** How long to wait after BullMQ could not fetch, ms. */
const AGAIN_MS = 200

/**
 * Takes packs from the executor's queue, as many at a time as there are slots, and reports what became of them. Fetching is done here and not by
 * BullMQ's own loop: that one would also write a failure for a pack that is somebody else's, and wait 15 s after a lost connection.
 */
export class PackLoop {
  readonly packs = new Set<HeldPack>()
  readonly #worker: Worker<PackMessage>
  readonly #options: PackLoopOptions
  readonly #waiting = new Set<() => void>()
  /** The newest epoch that anybody has named, by stream id. */
  readonly #epochs = new Map<string, number>()
  #isOpen = true
  #taken = 0

  constructor(worker: Worker<PackMessage>, options: PackLoopOptions) {
    this.#worker = worker
    this.#options = options
    this.#fetch()
  }

  /** Takes nothing more. Resolves when every pack in hand has been reported or lost. */
  async drain(): Promise<void> {
    this.#isOpen = false
    while (this.packs.size > 0) await this.#change()
  }

  /** Ends every pack that `hits`, with `reason`, and still reports it. */
  abort(hits: (pack: HeldPack) => Error | undefined): void {
    for (const pack of this.packs) {
      const reason = hits(pack)
      if (reason === undefined || pack.signal.aborted) continue
      this.#options.log.info({ pack: pack.id }, reason.message)
      pack.abort(reason)
    }
  }

  /** Ends packs that nobody waits for any more, and those of a driver that has been followed by another. */
  hear({ cancelled, runs }: Heard): void {
    for (const { info } of runs) this.#epochs.set(info.streamId, Math.max(info.epoch ?? 0, this.#epochs.get(info.streamId) ?? 0))
    this.abort(({ id, streamId, epoch }) => {
      if (cancelled.includes(id)) return new TaskFailedError(`Pack ${id} was cancelled by its driver.`)
      const newest = this.#epochs.get(streamId) ?? 0
      if (epoch >= newest) return undefined
      const said =
        `Pack ${id} is of epoch ${epoch}, and the stream's driver is at ${newest}: another driver took over, and this one is to stop. ` +
        'If the offset store was put back to an older state on purpose, start the executors again.'
      return new FencedError(said, { details: { epoch, newest } })
    })
  }

  async #fetch(): Promise<void> {
    const { executor, slots, clock, log } = this.#options
    while (this.#isOpen) {
      if (this.packs.size >= slots) {
        await this.#change()
        continue
      }
      this.#taken += 1
      const token = `${executor}-${this.#taken}`
      try {
        const job: PackJob | undefined = await this.#worker.getNextJob(token)
        if (job === undefined) continue
        if (this.#isOpen) this.#take(job, token)
        // It came while the executor began to leave; its driver gives it to another.
        else await job.moveToWait(token)
      } catch (error) {
        log.debug({}, `no pack could be fetched: ${errorMessage(error)}`)
        await clock.sleep(AGAIN_MS)
      }
    }
  }

  #take(job: PackJob, token: string): void {
    const { clock, lockMs } = this.#options
    const pack = new HeldPack(job.id ?? '', token, job.data, { now: clock.monotonic(), lockMs })
    this.packs.add(pack)
    this.#work(pack, job).finally(() => {
      this.packs.delete(pack)
      this.#changed()
    })
  }

  async #work(pack: HeldPack, job: PackJob): Promise<void> {
    const { log, maxReportBytes, listen } = this.#options
    try {
      // A driver that was taken over may be slow to hear of it. Without a look, this executor too would hear only with its next heartbeat, and an
      // output that is at-least-once would have the rows of both.
      await listen()
      const report = capReport(await runPack(pack, job.data, this.#options), maxReportBytes)
      if (pack.isLost) return this.#forget(pack)
      pack.isReporting = true
      await this.#whileLocked(pack, job.moveToCompleted(report, pack.token, false))
    } catch (error) {
      // Missing lock, or no such job: its driver has given it to another, or the first try went through and its answer was lost.
      log.warn({ pack: pack.id }, `the report of pack ${pack.id} did not arrive: ${errorMessage(error)}`)
    }
  }

  /** A pack whose lock is gone stays among BullMQ's active ones, and would count as work of this executor for ever. */
  #forget(pack: HeldPack): void {
    const { log, forget } = this.#options
    log.warn({ pack: pack.id }, `${errorMessage(pack.signal.reason)} Its report is not sent.`)
    forget(pack.id).catch(error => log.debug({ err: error }, 'a lost pack stays in the queue'))
  }

  /** A report that waits for Redis is of use as long as the lock can live; after that Redis refuses it. */
  async #whileLocked(pack: HeldPack, sent: Promise<unknown>): Promise<void> {
    const { clock } = this.#options
    sent.catch(() => {})
    for (;;) {
      try {
        await answerWithin(sent, Math.max(0, pack.lockedUntil - clock.monotonic()), undefined)
        return
      } catch (error) {
        // It was renewed meanwhile: a report of megabytes may take longer than one life of a lock.
        if (!isTidemarkError(error, 'TIMEOUT') || clock.monotonic() >= pack.lockedUntil) throw error
      }
    }
  }

  async #change(): Promise<void> {
    await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  #changed(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
