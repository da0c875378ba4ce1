import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { parseFrom, parseTo } from '../driver/backfill/parse-bound.ts'
import { type BackfillPlan, doubledOutputs } from '../driver/backfill/plan-backfill.ts'
import type { RunSummary } from '../driver/run-summary.ts'
import { explainDoubled, type WaysOut } from '../streams/backfill.ts'
import type { BackfillOptions } from '../streams/backfill-options.ts'
import type { Run } from '../streams/run.ts'
import { parseDuration } from '../util/parse-duration.ts'
import { BackfillView } from './backfill-view.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { addExecutorOptions, type ExecutorOptions, openExecutor } from './executor-options.ts'
import { hearKeys } from './keys.ts'
import type { LoadedJob } from './load-job.ts'
import { addChangeOptions, addStoreOption } from './options.ts'
import { printJson, showBytes, showCount, showDuration, showNumber, textStream } from './print.ts'
import { printBackfill } from './print-backfill.ts'
import { printLeftOut } from './print-left-out.ts'
import { collect } from './run-command.ts'
import { watchToEnd } from './run-to-end.ts'
import { withJob } from './with-job.ts'

type CommandOptions = ConfirmOptions &
  ExecutorOptions & {
    readonly from?: string
    readonly to?: string
    readonly untilLive?: boolean
    readonly exactTime?: boolean
    readonly late?: string
    readonly maxRate?: number
    readonly output?: readonly string[]
    readonly name?: string
    readonly adopt?: readonly string[]
    readonly appendAgain?: boolean
    readonly whatIsLeft?: boolean
    readonly store?: string
    readonly json?: boolean
    readonly progress?: boolean
  }

const FIRST_SIGNAL = 'stopping when the batch in hand is committed; the same command goes on from there, and once more stops at once'
/** With --progress and no terminal: a line as often as a run prints one (ms). */
const OFTEN_MS = 1_000
const BY_COMMAND: WaysOut = { again: 'add --append-again', without: 'name the others with --output', untilLive: 'take --until-live' }

export function addBackfillCommand(program: Command): void {
  const command = program
    .command('backfill')
    .description('run a job over a bounded past, beside the live stream and under a name of its own')
    .argument('<job>', 'the job module')
    .option('--from <bound>', 'where it begins: a time, a date (UTC), earliest, topic:partition:offset,… or batch:17')
    .option('--to <bound>', 'where it ends, which is not part of it: the same, or latest')
    .option('--until-live', 'ends where the live stream began, so that the two have every record once')
    .option('--exact-time', 'only records whose own timestamps are between the two')
    .option(
      '--late <duration>',
      'with --exact-time: look for records that came late, up to the first that is so much behind the end: 90s, 1h',
    )
    .option('--max-rate <records>', 'records a second over the whole job, for those who read beside it', parseRate)
    .option('--output <name>', 'only into this output; may be given several times', collect)
    .option('--append-again', 'also into outputs that hold rows a second time then')
    .option('--what-is-left', 'go on with what is left where retention has taken records of the window')
    .option('--name <stream>', 'the stream it runs as; by default the next free <stream>~backfill-<number>')
    .option('--adopt <output>', 'make the destination of this output agree with the store, after having looked at why it refused', collect)
  addChangeOptions(addExecutorOptions(addStoreOption(command)))
    .option('--progress', 'without a terminal: a line a second')
    .option('--no-progress', 'log a line a batch')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark backfill orders.ts --from 2026-11-01 --to 2026-11-02 --dry-run\n' +
        '  tidemark backfill orders.ts --from 2026-11-01T06:00+01:00 --to 2026-11-01T18:00+01:00 --exact-time --late 1h --max-rate 200000\n' +
        '  tidemark backfill orders.ts --from earliest --until-live --output postgres:orders --yes\n' +
        '  tidemark backfill orders.ts --from batch:17 --to batch:20 --name audit\n' +
        '  tidemark backfill orders.ts --from orders:0:1200,orders:1:900 --to latest\n\n' +
        'Its bounds become offsets once, when it first starts. One that was cut short, by Ctrl-C or a crash, is gone on with by the same command. In a terminal\n' +
        'p pauses it and r goes on. It has a lease, positions and ledgers of its own, so the stream may run meanwhile; what it leaves in the store, such as\n' +
        'orders~backfill-1, is listed by tidemark streams.',
    )
    .action(backfill)
}

async function backfill(path: string, options: CommandOptions): Promise<void> {
  const { appendAgain = false, whatIsLeft = false, exactTime = false, output, name, maxRate, adopt, json } = options
  const bounds = parseBounds(options)
  await withJob(path, options, async ({ loaded, named }) => {
    const way = howToGo(options)
    const out = textStream(options)
    const executor = way === 'show' ? undefined : await openExecutor(options)
    const about: BackfillOptions = {
      ...bounds,
      ...{ exactTime, appendAgain, whatIsLeft },
      ...(options.late !== undefined && { lateMs: parseLate(options.late) }),
      ...(output !== undefined && { outputs: output }),
      ...(name !== undefined && { name }),
      ...(maxRate !== undefined && { maxRate }),
      ...(adopt !== undefined && { adopt }),
      ...(named !== undefined && { offsets: named }),
      ...(executor !== undefined && { executor }),
    }
    const plan = await loaded.internals.planBackfill(about, { weigh: way !== 'do' })
    printBackfill(out, plan)
    if (plan.isComplete) {
      if (json) printJson({ ...describePlan(plan), changed: false, dryRun: way === 'show' })
      return
    }
    const doubled = doubledOutputs(plan)
    if (way === 'show') {
      if (doubled.length > 0) out.write(`It would have to be told --append-again, for ${doubled.join(', ')} would hold rows twice.\n`)
      if (json) printJson({ ...describePlan(plan), changed: false, dryRun: true })
      return
    }
    if (doubled.length > 0 && !appendAgain) throw new ConfigError(explainDoubled(plan, doubled, BY_COMMAND))
    if (way === 'refuse') throw cannotAsk()
    if (way === 'ask' && !(await askYes(plan.isResumed ? 'Go on with it?' : 'Begin it?', {}))) {
      if (json) printJson({ ...describePlan(plan), changed: false, dryRun: false })
      else out.write('Nothing was run.\n')
      return
    }
    const summary = await run(loaded, plan, about, options)
    if (json) return printJson({ ...describePlan(plan), changed: true, dryRun: false, ...summary })
    printSummary(out, plan, summary)
  })
}

function run(loaded: LoadedJob, plan: BackfillPlan, about: BackfillOptions, { progress }: CommandOptions): Promise<RunSummary> {
  const view = new BackfillView(plan, progress === true ? { printMs: OFTEN_MS } : {})
  return watchToEnd(loaded, shown => loaded.internals.runBackfill(plan, { ...about, ...shown }), {
    progress: progress ?? true,
    view,
    onFirstSignal: FIRST_SIGNAL,
    onRun: (run, say) => hearKeys(key => pauseByKey(key, run, view, say)),
  })
}

function pauseByKey(key: string, run: Run, view: BackfillView, say: (line: string) => void): void {
  if (key === 'p') {
    run.pause()
    view.pause()
    say('paused: the batch in hand is finished, and none is begun until r')
  } else if (key === 'r') {
    run.resume()
    view.resume()
    say('going on')
  }
}

function parseBounds({ from, to, untilLive = false }: CommandOptions): Pick<BackfillOptions, 'from' | 'to'> {
  if (from === undefined) {
    throw new ConfigError(
      'Where the backfill begins is missing. Add --from, such as --from 2026-11-01, or --from earliest for all there is.',
    )
  }
  if (untilLive && to !== undefined) throw new ConfigError('--to and --until-live are two ends. Give one of them.')
  if (!untilLive && to === undefined) {
    throw new ConfigError(
      'Where the backfill ends is missing. Add --to, such as --to 2026-11-02, --to latest for what is there now, or --until-live to end where the live stream began.',
    )
  }
  return { from: parseFrom(from, '--from'), to: to === undefined ? { at: 'live' } : parseTo(to, '--to') }
}

function parseLate(text: string): number {
  const ms = parseDuration(text)
  if (ms !== undefined) return ms
  throw new ConfigError(`--late ${text} is not understood. It is a duration: 90s, 30m, 1h or 2d.`)
}

function parseRate(text: string): number {
  const rate = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && rate > 0) return rate
  throw new ConfigError(`--max-rate ${text} is not understood. It is a number of records a second above 0.`)
}

/** A plan for programs: only grows. */
function describePlan({
  stream,
  name,
  asked,
  isResumed,
  isComplete,
  ranges,
  offsets,
  left,
  outputs,
  overlaps,
  notes,
  weight,
  estimate,
}: BackfillPlan) {
  return {
    ...{ stream, name, from: asked.from, to: asked.to, exactTime: asked.exactTime, lateMs: asked.lateMs },
    ...{ resumed: isResumed, complete: isComplete, ranges, offsets, left, outputs, overlaps, notes },
    ...(weight !== undefined && { weight }),
    ...(estimate !== undefined && { estimate }),
  }
}

function printSummary(out: NodeJS.WritableStream, { name, isResumed, offsets }: BackfillPlan, summary: RunSummary): void {
  const { reason, records, batches, bytes, rows, rowsByOutput, durationMs } = summary
  const rate = durationMs > 0 ? `, ${showNumber(Math.round(records / (durationMs / 1_000)))} records/s` : ''
  out.write(
    `${name}: ${reason}, ${showCount(records, 'record')} in ${showCount(batches, 'batch', 'batches')}, ${showBytes(bytes)}, in ${showDuration(durationMs)}${rate}\n`,
  )
  const each = Object.entries(rowsByOutput)
  if (each.length === 1) out.write(`${showCount(rows, 'row')} into ${each[0]?.[0]}\n`)
  else for (const [output, count] of each) out.write(`${showCount(count, 'row')} into ${output}\n`)
  printLeftOut(out, summary)
  if (isResumed && reason === 'done') out.write(`With what it had done before, all of its ${showCount(offsets, 'offset')} are done.\n`)
  if (reason === 'stopped') out.write('The same command goes on with it.\n')
}
