import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import type { Until } from '../driver/driver-job.ts'
import type { Run } from '../streams/stream.ts'
import { loadJob } from './load-job.ts'
import { openStore } from './open-store.ts'
import { printJson, showNumber } from './print.ts'
import { Progress } from './progress.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
/** How long the second signal waits for the lease to be given back (ms). */
const LEAVE_WITHIN_MS = 500

type RunOptions = {
  readonly until?: string
  readonly store?: string
  readonly steal?: boolean
  readonly json?: boolean
  readonly progress?: boolean
}

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run a job until it is stopped')
    .argument('<job>', 'the job module, such as orders.ts')
    .option('--until <end>', "end by itself: 'latest' for what is there now, or a time such as 2026-11-20T00:00:00Z")
    .option('--store <url>', 'the offset store, such as sqlite:orders.offsets.db (or TIDEMARK_STORE)')
    .option('--steal', 'take the stream over from a live driver instead of standing by; it stops with FencedError')
    .option('--progress', 'show progress also where stderr is no terminal, a line a second')
    .option('--no-progress', 'log a line a batch also where stderr is a terminal')
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', '\nExamples:\n  tidemark run orders.ts\n  tidemark run orders.ts --until latest --json')
    .action(runJob)
}

async function runJob(path: string, options: RunOptions): Promise<void> {
  const until = options.until === undefined ? undefined : parseUntil(options.until)
  const loaded = await loadJob(path)
  const store = await openStore(loaded, options.store)
  const progress = (options.progress ?? process.stderr.isTTY) ? new Progress(process.stderr, [process.stdout]) : undefined

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
    run = await loaded.job.start({
      ...(until !== undefined && { until }),
      ...(store !== undefined && { offsets: store }),
      ...(progress !== undefined && { listeners: [progress.listener] }),
      ...(progress !== undefined && !loaded.internals.hasLog && { log: progress.log }),
      steal: options.steal ?? false,
    })
    if (asked > 0) run.stop()
    const summary = await run.done
    progress?.end()
    if (options.json) printJson({ stream: loaded.job.name, ...summary })
    else {
      const { reason, batches, records } = summary
      process.stdout.write(
        `${loaded.job.name}: ${reason}, ${showNumber(records)} records in ${showNumber(batches)} ${batches === 1 ? 'batch' : 'batches'}\n`,
      )
    }
  } finally {
    progress?.end()
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}

/** Reads `--until`. A time without a zone would mean something else on each machine, so it is refused. */
function parseUntil(text: string): Until {
  if (text === 'latest') return 'latest'
  if (/^\d{10,}$/.test(text)) return { at: 'timestamp', timestamp: Number(text) }
  const timestamp = /^\d{4}-\d\d-\d\d(T.*(Z|[+-]\d\d:?\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(timestamp)) return { at: 'timestamp', timestamp }
  throw new ConfigError(
    `--until ${text} is not understood. It is 'latest', a date (2026-11-20, in UTC), a time with a zone (2026-11-20T12:00:00Z), or milliseconds since 1970.`,
  )
}
