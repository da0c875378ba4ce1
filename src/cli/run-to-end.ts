import type { RunSummary } from '../driver/run-summary.ts'
import type { Run, StartOptions } from '../streams/stream.ts'
import type { LoadedJob } from './load-job.ts'
import { Progress } from './progress.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** How long the second signal waits for the lease to be given back (ms). */
const LEAVE_WITHIN_MS = 500

/** Runs a job until it ends or is stopped: the first signal finishes the batch in hand, the second leaves at once with exit code 130. */
export async function runToEnd(
  { job, internals }: LoadedJob,
  options: StartOptions,
  { progress: isShown = process.stderr.isTTY },
): Promise<RunSummary> {
  const progress = isShown ? new Progress(process.stderr, [process.stdout]) : undefined
  let run: Run | undefined
  let asked = 0
  const stop = () => {
    asked += 1
    if (asked === 1) {
      progress?.say('stopping when the batch in hand is committed; once more stops at once, and the next run replays it')
      run?.stop()
      return
    }
    const leave = () => {
      progress?.end()
      process.exit(130)
    }
    // At once: nothing of the batch in hand is committed, and the lease is given back if the store is quick.
    setTimeout(leave, LEAVE_WITHIN_MS).unref()
    if (run === undefined) leave()
    else run.stop({ now: true }).then(leave)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  try {
    run = await job.start({
      ...options,
      ...(progress !== undefined && { listeners: [progress.listener] }),
      ...(progress !== undefined && !internals.hasLog && { log: progress.log }),
    })
    if (asked > 0) run.stop()
    return await run.done
  } finally {
    progress?.end()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}
