import { ConfigError } from '../core/errors.ts'
import type { Lease, StreamState } from '../core/offset-store.ts'
import type { DriverJob } from '../driver/driver-job.ts'
import type { LogBounds } from '../driver/surgery-bounds.ts'
import { withLease } from '../driver/surgery-lease.ts'
import { type Destination, planSurgery, type SurgeryPlan } from '../driver/surgery-plan.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { loadJob } from './load-job.ts'
import { openStore } from './open-store.ts'
import { printJson, textStream } from './print.ts'
import { printPlan } from './print-plan.ts'

/** How long sources and store may take to say where everything stands (ms). */
const LOOK_WITHIN_MS = 60_000

export type MoveOptions = ConfirmOptions & {
  readonly store?: string
  readonly steal?: boolean
  readonly discard?: boolean
  readonly reason?: string
  readonly json?: boolean
}

/** What `reset` and `rewind` differ in. */
export type Movement = {
  /** What it is called, such as `reset to earliest`. */
  readonly title: string
  readonly find: (job: DriverJob, state: StreamState, bounds: ReadonlyMap<string, LogBounds>, signal: AbortSignal) => Promise<Destination>
}

/** Puts a stream elsewhere by hand: takes its lease, shows what that means, asks, and writes it with its reason. */
export async function moveStream(path: string, options: MoveOptions, { title, find }: Movement): Promise<void> {
  const { reason = `by hand: ${title}`, discard = false } = options
  if (reason === 'start' || reason.trim() === '')
    throw new ConfigError('--reason is a text of your own, and not `start`, which marks starting points.')
  const loaded = await loadJob(path)
  const named = await openStore(loaded, options.store)
  const job = loaded.internals.compile(named === undefined ? {} : { offsets: named })
  const out = textStream(options)
  const way = howToGo(options)

  async function plan(lease: Lease | undefined, signal: AbortSignal): Promise<SurgeryPlan> {
    const within = AbortSignal.any([signal, AbortSignal.timeout(LOOK_WITHIN_MS)])
    const planned = await planSurgery(job, (state, bounds) => find(job, state, bounds, within), { lease, discard, signal: within })
    printPlan(out, job.stream, title, planned)
    return planned
  }

  function tell(planned: SurgeryPlan, changed: boolean): void {
    const { state, moves, notes, outputs, discarded } = planned
    if (!options.json) {
      const isNothing = moves.length === 0 && discarded === undefined
      if (!isNothing || changed)
        out.write(changed ? `${job.stream}: ${title}. The next run goes on from there.\n` : 'Nothing was changed.\n')
      return
    }
    printJson({
      stream: job.stream,
      ...{ changed, dryRun: way === 'show', reason, lastBatchId: state.lastBatchId, moves, outputs, notes },
      discarded: discarded === undefined ? null : { batchId: discarded.batch.id, outputs: discarded.outputs },
    })
  }

  try {
    if (way === 'show' || way === 'refuse') {
      const planned = await plan(undefined, new AbortController().signal)
      if (way === 'refuse') throw cannotAsk()
      return tell(planned, false)
    }
    await withLease(job.store, job.stream, { steal: options.steal ?? false }, async (lease, signal) => {
      const planned = await plan(lease, signal)
      const isNothing = planned.offsets.length === 0 && planned.discarded === undefined
      const isAgreed = !isNothing && (way === 'do' || (await askYes(`Put ${job.stream} there?`, { signal })))
      if (isAgreed) await job.store.reset(lease, planned.offsets, { reason, discard, signal })
      tell(planned, isAgreed)
    })
  } finally {
    for (const { sink } of job.outputs.values()) await sink.close?.()
    await loaded.internals.close(named)
  }
}
