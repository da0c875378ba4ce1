import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import type { Until } from '../driver/driver-job.ts'
import { explainSeconds, parseTime, TIME_FORMS } from '../util/parse-time.ts'
import { addExecutorOptions, type ExecutorOptions, openExecutor } from './executor-options.ts'
import { loadJob } from './load-job.ts'
import { openStore } from './open-store.ts'
import { addStoreOption } from './options.ts'
import { printJson, showCount } from './print.ts'
import { printLeftOut } from './print-left-out.ts'
import { runToEnd } from './run-to-end.ts'

type RunOptions = ExecutorOptions & {
  readonly until?: string
  readonly finish?: boolean
  readonly adopt: readonly string[]
  readonly store?: string
  readonly steal?: boolean
  readonly json?: boolean
  readonly progress?: boolean
}

export function addRunCommand(program: Command): void {
  const command = program
    .command('run')
    .description('run a job until it is stopped')
    .argument('<job>', 'the job module, such as orders.ts')
    .option('--until <end>', "end by itself: 'latest' for what is there now, or a time such as 2026-11-20T00:00:00Z")
    .option('--finish', 'finish the batch that is begun, if one is, and end without beginning another')
  addExecutorOptions(addStoreOption(command))
    .option('--steal', 'take the stream over from a live driver instead of standing by; it stops with FencedError')
    .option(
      '--adopt <output>',
      'make the destination of this output agree with the store, after having looked at why it refused',
      collect,
      [],
    )
    .option('--progress', 'show progress also where stderr is no terminal, a line a second')
    .option('--no-progress', 'log a line a batch also where stderr is a terminal')
    .option('--json', 'print the summary as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark run orders.ts\n  tidemark run orders.ts --until latest --json\n  tidemark run orders.ts --finish\n  tidemark run orders.ts --threads 4',
    )
    .action(runJob)
}

/** Takes an option that may be given several times. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}

async function runJob(path: string, options: RunOptions): Promise<void> {
  const until = options.until === undefined ? undefined : parseUntil(options.until)
  const { finish = false, steal = false, adopt, progress } = options
  if (finish && until !== undefined)
    throw new ConfigError('--finish ends after the batch that is begun, so --until has no meaning beside it.')
  const loaded = await loadJob(path)
  const store = await openStore(loaded, options.store)
  const executor = await openExecutor(options)
  const start = {
    ...(until !== undefined && { until }),
    ...(store !== undefined && { offsets: store }),
    ...(adopt.length > 0 && { adopt }),
    ...(executor !== undefined && { executor }),
    ...{ finish, steal },
  }
  const summary = await runToEnd(loaded, start, { ...(progress !== undefined && { progress }) })
  if (options.json) return printJson({ stream: loaded.job.name, ...summary })
  const { reason, batches, records } = summary
  const nothing = finish && batches === 0 ? ' (no batch was begun)' : ''
  process.stdout.write(
    `${loaded.job.name}: ${reason}, ${showCount(records, 'record', 'records')} in ${showCount(batches, 'batch', 'batches')}${nothing}\n`,
  )
  printLeftOut(process.stdout, summary)
}

/** Reads `--until`. */
function parseUntil(text: string): Until {
  if (text === 'latest') return 'latest'
  const timestamp = parseTime(text)
  if (timestamp !== undefined) return { at: 'timestamp', timestamp }
  const seconds = explainSeconds(text)
  if (seconds !== undefined) throw new ConfigError(`--until ${text} ${seconds}`)
  throw new ConfigError(`--until ${text} is not understood. It is 'latest', ${TIME_FORMS}.`)
}
