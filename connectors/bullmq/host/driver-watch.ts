import { describeDifference, type JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import type { Log } from '../../../src/core/log.ts'
import { BULLMQ_VERSION, type RunInfo } from '../messages.ts'
import type { SeenRun } from '../registry.ts'

/** A driver that has not been heard of for so long is taken for gone, ms. */
const GONE_MS = 5_000

/** Says in the log why an executor idles: nobody runs the job, or whoever does runs another one. Each thing once, until it changes. */
export class DriverWatch {
  readonly #job: string
  readonly #own: JobFingerprint
  readonly #log: Log
  /** What was said of each driver. */
  #said = new Map<string, string>()
  #hasDriver: boolean | undefined

  constructor(job: string, own: JobFingerprint, log: Log) {
    this.#job = job
    this.#own = own
    this.#log = log
  }

  /** Whether one was there at the last heartbeat. */
  get hasDriver(): boolean {
    return this.#hasDriver ?? false
  }

  note(runs: readonly SeenRun[]): void {
    const live = runs.filter(({ silentForMs }) => silentForMs < GONE_MS)
    const said = new Map<string, string>()
    for (const { info } of live) {
      const driver = `${info.stream} of ${info.host}-${info.pid} since ${info.startedAt}`
      const state = this.#stateOf(info)
      said.set(driver, state)
      if (this.#said.get(driver) !== state) this.#say(info, state)
    }
    this.#said = said
    if (live.length === 0 && this.#hasDriver !== false) {
      this.#log.info(
        { job: this.#job },
        `no driver runs ${this.#job}: waiting for one (tidemark run <job> --executors <url>, with the same URL and prefix)`,
      )
    }
    this.#hasDriver = live.length > 0
  }

  /** What of the driver's job differs, as a sentence; empty where it is the same job. */
  #stateOf(info: RunInfo): string {
    if (info.v !== BULLMQ_VERSION) return 'the version of tidemark'
    return describeDifference(info.fingerprint, this.#own).join(', ')
  }

  #say({ stream, host, pid }: RunInfo, difference: string): void {
    const fields = { stream, driver: `${host}-${pid}` }
    if (difference === '') this.#log.info(fields, `runs tasks of ${stream} for the driver on ${host} (pid ${pid})`)
    else {
      this.#log.warn(
        fields,
        `runs nothing for the driver of ${stream} on ${host} (pid ${pid}): ` +
          `its job differs from this executor's in ${difference}. Deploy the same job to both; until then this executor waits.`,
      )
    }
  }
}
