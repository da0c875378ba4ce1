import { errorMessage, type TidemarkError } from '../../../src/core/errors.ts'
import type { ExecutorContext } from '../../../src/core/executor.ts'
import type { RunnableJob } from '../../../src/core/runnable-job.ts'
import type { ControlLine } from '../control-line.ts'
import type { RunInfo } from '../messages.ts'
import type { Registry } from '../registry.ts'
import type { Executors } from './executors.ts'
import { LastPlaces } from './last-places.ts'
import { OpenPacks } from './open-packs.ts'
import { Outage } from './outage.ts'
import { Pace } from './pace.ts'
import type { PackScripts } from './pack-scripts.ts'
import type { Pack, PackFrame, Work } from './packs.ts'
import type { Queues } from './queues.ts'

/** What a run is made of. */
export type RunParts = {
  readonly job: RunnableJob
  readonly context: ExecutorContext
  readonly line: ControlLine
  readonly registry: Registry
  readonly scripts: PackScripts
  readonly queues: Queues
  readonly executors: Executors
  readonly frame: PackFrame
  readonly stragglers: 'twin' | 'wait'
  /** Names this start among all: part of every pack's id. */
  readonly nonce: string
  readonly info: RunInfo
}

/** How often the same trouble is told, ms. */
const TELL_EVERY_MS = 5_000

/** What is going on in a run, as those who send, watch and cancel share it. */
export class RunState {
  readonly open = new OpenPacks(work => this.onSettled(work))
  readonly outage = new Outage()
  readonly pace = new Pace()
  readonly lastPlaces = new LastPlaces()
  /** Ids of packs that nobody waits for any more, and of which executors have yet to hear. */
  readonly cancelled = new Set<string>()
  /** Packs that may go from Redis: they have ended, or are lost. */
  over: Pack[] = []
  isClosed = false
  onSettled: (work: Work) => void = () => {}
  readonly #context: ExecutorContext
  #toldAt = Number.NEGATIVE_INFINITY

  constructor(context: ExecutorContext) {
    this.#context = context
  }

  /** Says what keeps tasks from running, now and then. */
  tell(trouble: TidemarkError): void {
    const now = performance.now()
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    this.#context.onTrouble?.(trouble)
  }

  /** For work that nobody waits for. */
  note(what: string): (error: unknown) => void {
    return error => this.#context.log.debug({ err: error }, `${what}: ${errorMessage(error)}`)
  }
}

/** The batch that a work is of. */
export function batchOf(work: Work | undefined): string {
  const [task] = work?.group.tasks ?? []
  return `${task?.epoch}-${task?.batchId}`
}
