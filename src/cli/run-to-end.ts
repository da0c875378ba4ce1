import type { RunSummary } from '../driver/run-summary.ts'
import type { Run, StartOptions } from '../streams/run.ts'
import type { LoadedJob } from './load-job.ts'
import { Progress, type ProgressView } from './progress.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** How long the second signal waits for the lease to be given back (ms). */
const LEAVE_WITHIN_MS = 500
const FIRST_SIGNAL = 'stopping when the batch in hand is committed; once more stops at once, and the next run replays it'

type Shown = Pick<StartOptions, 'listeners' | 'log'>

export type RunToEndOptions = {
  /** Whether progress is shown, or logged. @default where stderr is a terminal */
  readonly progress?: boolean
  /** What is shown in place of the line that every run has. */
  readonly view?: ProgressView
  /** What the first signal is answered with. */
  readonly onFirstSignal?: string
  /** Told of the run when it has begun; what it gives is called at its end. */
  readonly onRun?: (run: Run, say: (line: string) => void) => () => void
}

/** Runs a job until it ends or is stopped: the first signal finishes the batch in hand, the second leaves at once with exit code 130. */
export function runToEnd(loaded: LoadedJob, options: StartOptions, how: RunToEndOptions): Promise<RunSummary> {
  return watchToEnd(loaded, shown => loaded.job.start({ ...options, ...shown }), how)
}

/** The same for whatever begins a run. */
export async function watchToEnd(
  { internals }: LoadedJob,
  start: (shown: Shown) => Promise<Run>,
  { progress: isShown = process.stderr.isTTY, view, onFirstSignal = FIRST_SIGNAL, onRun }: RunToEndOptions,
): Promise<RunSummary> {
  const progress = isShown ? new Progress(process.stderr, [process.stdout], view) : undefined
  let run: Run | undefined
  let leaveRun = () => {}
  let asked = 0
  const stop = () => {
    asked += 1
    if (asked === 1) {
      progress?.say(onFirstSignal)
      run?.stop()
      return
    }
    const leave = () => {
      progress?.end()
      leaveRun()
      process.exit(130)
    }
    // At once: nothing of the batch in hand is committed, and the lease is given back if the store is quick.
    setTimeout(leave, LEAVE_WITHIN_MS).unref()
    if (run === undefined) leave()
    else run.stop({ now: true }).then(leave)
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  try {
    run = await start({
      ...(progress !== undefined && { listeners: [progress.listener] }),
      ...(progress !== undefined && !internals.hasLog && { log: progress.log }),
    })
    if (onRun !== undefined)
      leaveRun = onRun(run, line => (progress === undefined ? process.stderr.write(`${line}\n`) : progress.say(line)))
    if (asked > 0) run.stop()
    return await run.done
  } finally {
    progress?.end()
    leaveRun()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}
