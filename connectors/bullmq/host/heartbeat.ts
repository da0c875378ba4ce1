import { type Clock, systemClock } from '../../../src/core/clock.ts'
import { errorMessage } from '../../../src/core/errors.ts'
import type { Log } from '../../../src/core/log.ts'
import type { ExecutorInfo } from '../messages.ts'
import type { Registry, SeenRun } from '../registry.ts'

const BEAT_MS = 500

/** What an executor hears with a heartbeat. */
export type Heard = { readonly cancelled: readonly string[]; readonly runs: readonly SeenRun[] }

type HeartbeatOptions = {
  /** What it says of itself now. */
  readonly info: () => ExecutorInfo
  /** The ids of the packs it works on. */
  readonly working: () => readonly string[]
  readonly onHeard: (heard: Heard) => void
  readonly log: Log
  readonly clock?: Clock
}

/** Says every half second that the executor lives, and goes on trying while Redis is away: tasks need it only to be handed out and reported. */
export class Heartbeat {
  readonly #registry: Registry
  readonly #options: HeartbeatOptions
  readonly #over = new AbortController()
  #last: Promise<void> = Promise.resolve()
  /** Waits for the one that is on its way. */
  #next: Promise<void> | undefined
  #isAway = false

  constructor(registry: Registry, options: HeartbeatOptions) {
    this.#registry = registry
    this.#options = options
  }

  /** The first one, which must succeed. @throws ConnectionError, AuthError */
  async start(): Promise<void> {
    await this.#send()
    this.#goOn()
  }

  /** One that is sent from now on, behind one that is on its way: resolves when what others have said by now was heard, or cannot be. */
  beat(): Promise<void> {
    if (this.#next !== undefined) return this.#next
    const next = this.#last.then(() => {
      this.#next = undefined
      return this.#try()
    })
    this.#next = next
    this.#last = next
    return next
  }

  /** Resolves when none is on its way any more: a late one would bring back an executor that has left. */
  async stop(): Promise<void> {
    this.#over.abort(new Error('the executor leaves'))
    await this.#last
  }

  async #goOn(): Promise<void> {
    const { clock = systemClock } = this.#options
    const { signal } = this.#over
    while (!signal.aborted) {
      await clock.sleep(BEAT_MS, signal).catch(() => {})
      if (!signal.aborted) await this.beat()
    }
  }

  async #try(): Promise<void> {
    if (this.#over.signal.aborted) return
    const { log } = this.#options
    try {
      await this.#send(this.#over.signal)
      if (this.#isAway) log.info({}, 'Redis answers again')
      this.#isAway = false
    } catch (error) {
      if (this.#over.signal.aborted) return
      if (!this.#isAway)
        log.warn(
          { err: error },
          `no heartbeat: ${errorMessage(error)} This executor goes on trying; its packs go to others when their locks lapse`,
        )
      this.#isAway = true
    }
  }

  async #send(signal?: AbortSignal): Promise<void> {
    const { info, working, onHeard } = this.#options
    onHeard(await this.#registry.beat(info(), working(), signal))
  }
}
