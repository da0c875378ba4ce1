import type { JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import type { Log } from '../../../src/core/log.ts'
import type { ExecutorInfo } from '../messages.ts'
import type { SeenExecutor } from '../registry.ts'
import { SILENT_AFTER_MS, type Standing, showStanding, standingOf } from './standing.ts'

/**
 * For how long an executor that refused the job gets nothing, ms. What it could not open may be back by then: a password that was changed, a database that
 * was away.
 */
const REFUSED_FOR_MS = 30_000

type Known = { readonly info: ExecutorInfo; readonly standing: Standing }

/** The executors of a job as its driver last saw them: who gets work, and what the log is told of who comes and goes. */
export class Executors {
  readonly #job: string
  readonly #fingerprint: JobFingerprint
  readonly #log: Log
  #known = new Map<string, Known>()
  readonly #now: () => number
  /** What executors themselves said against this driver's job, for a while, or until they say something new of theirs. */
  readonly #refusals = new Map<string, { readonly fingerprint: string; readonly why: string; readonly endsAt: number }>()

  /** `now` is a clock that never goes back, ms. */
  constructor(job: string, fingerprint: JobFingerprint, log: Log, now = () => performance.now()) {
    this.#now = now
    this.#job = job
    this.#fingerprint = fingerprint
    this.#log = log
  }

  get ready(): ExecutorInfo[] {
    return [...this.#known.values()].filter(({ standing }) => standing.state === 'ready').map(({ info }) => info)
  }

  /** Undefined for one that is not there any more. */
  standing(id: string): Standing | undefined {
    return this.#known.get(id)?.standing
  }

  see(seen: readonly SeenExecutor[]): void {
    const now = new Map(seen.map(executor => [executor.info.id, { info: executor.info, standing: this.#judge(executor) }]))
    for (const [id, { info, standing }] of now) this.#tell(info, this.#known.get(id)?.standing, standing)
    for (const [id, { standing }] of this.#known) {
      if (now.has(id)) continue
      this.#refusals.delete(id)
      if (standing.state !== 'silent') this.#log.info({ job: this.#job, executor: id }, `executor ${id} left`)
    }
    this.#known = now
  }

  /** An executor said that it does not run this driver's job. It gets nothing for {@link REFUSED_FOR_MS}, or until its own changes. */
  refuse(id: string, why: string): void {
    const known = this.#known.get(id)
    if (known === undefined) return
    this.#refusals.set(id, { fingerprint: JSON.stringify(known.info.fingerprint), why, endsAt: this.#now() + REFUSED_FOR_MS })
    this.see(
      Array.from(this.#known.values(), ({ info, standing }) => ({ info, silentForMs: standing.state === 'silent' ? SILENT_AFTER_MS : 0 })),
    )
  }

  /** Why nobody of those who were seen gets work, for a person who waits. */
  describeWaiting(): string {
    const others = Array.from(this.#known.values(), ({ info, standing }) => `${info.id}: ${showStanding(standing)}`)
    const seen = others.length === 0 ? '' : ` Seen, and given nothing: ${others.join('; ')}.`
    return (
      `No executor of job ${this.#job} is there, and its tasks wait for one. Start one on any machine that has the job: ` +
      `tidemark executor <job module> --executors <the same Redis>.${seen}`
    )
  }

  #judge(executor: SeenExecutor): Standing {
    const standing = standingOf(executor, this.#fingerprint)
    const refusal = this.#refusals.get(executor.info.id)
    if (refusal === undefined || standing.state !== 'ready') return standing
    const isSameJob = refusal.fingerprint === JSON.stringify(executor.info.fingerprint)
    if (isSameJob && this.#now() < refusal.endsAt) return { state: 'waits', why: refusal.why }
    this.#refusals.delete(executor.info.id)
    return standing
  }

  #tell({ id, slots }: ExecutorInfo, before: Standing | undefined, now: Standing): void {
    if (before !== undefined && showStanding(before) === showStanding(now)) return
    const fields = { job: this.#job, executor: id }
    switch (now.state) {
      case 'ready':
        this.#log.info(
          { ...fields, slots },
          `executor ${id} ${before === undefined ? 'joined' : 'is back'} with ${slots} ${slots === 1 ? 'slot' : 'slots'}`,
        )
        break
      case 'draining':
        this.#log.info(fields, `executor ${id} drains: it ends what runs and gets nothing more`)
        break
      case 'silent':
        this.#log.warn(fields, `executor ${id} has been silent for ${SILENT_AFTER_MS} ms: its work goes to others`)
        break
      case 'waits':
        this.#log.warn(fields, `executor ${id} gets no work: ${now.why}`)
        break
      default:
        now satisfies never
    }
  }
}
