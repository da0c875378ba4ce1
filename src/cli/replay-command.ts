import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { type Batch, countOffsets, showRange } from '../core/values.ts'
import type { DriverJob } from '../driver/driver-job.ts'
import { findBatches, outputsOfBatches } from '../driver/replay-batches.ts'
import { checkReplayName, nameReplay, type ReplayName } from '../driver/replay-name.ts'
import { addsRows, describeRewritten } from '../driver/surgery-outputs.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { addExecutorOptions, type ExecutorOptions, openExecutor } from './executor-options.ts'
import { addChangeOptions, addStoreOption } from './options.ts'
import { parseCount } from './parse-count.ts'
import { printJson, printTable, showCount, showNumber, textStream } from './print.ts'
import { printLeftOut } from './print-left-out.ts'
import { collect } from './run-command.ts'
import { runToEnd } from './run-to-end.ts'
import { withJob } from './with-job.ts'

type ReplayOptions = ConfirmOptions &
  ExecutorOptions & {
    readonly batch: readonly number[]
    readonly output?: readonly string[]
    readonly name?: string
    readonly adopt?: readonly string[]
    readonly appendAgain?: boolean
    readonly store?: string
    readonly json?: boolean
    readonly progress?: boolean
  }

/** What is about to be run again. */
type Replay = ReplayName & { readonly batches: readonly Batch[]; readonly outputs: readonly string[] }

const parseBatch = parseCount('--batch')

export function addReplayCommand(program: Command): void {
  const command = program
    .command('replay')
    .description('run batches of the history once more: the same offsets, under a name of their own; the stream itself stays as it is')
    .argument('<job>', 'the job module')
    .requiredOption('--batch <id>', 'which batch; may be given several times', (text, before: number[] = []) => [
      ...before,
      parseBatch(text),
    ])
    .option('--output <name>', 'only into this output; may be given several times', collect)
    .option('--append-again', 'also into outputs that hold the rows a second time then')
    .option('--name <stream>', 'the stream it runs as; by default the next free <stream>~replay-<number>')
    .option('--adopt <output>', 'make the destination of this output agree with the store, after having looked at why it refused', collect)
  addChangeOptions(addExecutorOptions(addStoreOption(command)))
    .option('--progress', 'show progress also where stderr is no terminal, a line a second')
    .option('--no-progress', 'log a line a batch also where stderr is a terminal')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark replay orders.ts --batch 17 --dry-run\n  tidemark replay orders.ts --batch 17 --batch 18 --output files:out --yes\n' +
        '  tidemark replay orders.ts --batch 17 --append-again\n\n' +
        'It has a lease, positions and ledgers of its own, so the stream may run meanwhile. One that was cut short is gone on with when it is asked for again.\n' +
        'What it leaves in the store, such as orders~replay-1, is listed by tidemark streams.',
    )
    .action(replay)
}

async function replay(path: string, options: ReplayOptions): Promise<void> {
  await withJob(path, options, async ({ loaded, named, job }) => {
    const way = howToGo(options)
    const out = textStream(options)
    const found = await findReplay(job, options)
    printReplay(out, job, found)
    const adding = found.outputs.filter(name => hasRowsTwice(job, name))
    const needsWord = adding.length > 0 && !options.appendAgain
    if (needsWord && way !== 'show') {
      throw new ConfigError(
        `Nothing was run: ${adding.join(', ')} would hold the rows of ${showCount(found.batches.length, 'batch', 'batches')} twice. If that is what you ` +
          'want, add --append-again; to leave an output out, name the others with --output.',
      )
    }
    if (way === 'refuse') throw cannotAsk()
    const isAgreed =
      way === 'do' || (way === 'ask' && (await askYes(`Run ${showCount(found.batches.length, 'batch', 'batches')} again?`, {})))
    const about = { stream: job.stream, name: found.name, batches: found.batches.map(({ id }) => id), outputs: found.outputs }
    if (!isAgreed) {
      if (options.json) printJson({ ...about, changed: false, dryRun: way === 'show' })
      else out.write('Nothing was run.\n')
      return
    }
    const { name, batches, outputs } = found
    const { adopt } = options
    const executor = await openExecutor(options)
    const start = {
      name,
      batches,
      outputs,
      ...(executor !== undefined && { executor }),
      ...(adopt !== undefined && { adopt }),
      ...(named !== undefined && { offsets: named }),
    }
    const summary = await runToEnd(loaded, start, { ...(options.progress !== undefined && { progress: options.progress }) })
    if (options.json)
      return printJson({ ...about, changed: true, dryRun: false, ...summary, batchesRun: summary.batches, batches: about.batches })
    out.write(`${name}: ${summary.reason}, ${showCount(summary.records, 'record')} in ${showCount(summary.batches, 'batch', 'batches')}\n`)
    printLeftOut(out, summary)
  })
}

async function findReplay({ store, stream, outputs }: DriverJob, options: ReplayOptions): Promise<Replay> {
  const { output: chosen = [] } = options
  const unknown = chosen.filter(name => !outputs.has(name))
  if (unknown.length > 0) {
    throw new ConfigError(`The job has no output ${unknown.join(', ')}. Its outputs are ${[...outputs.keys()].join(', ')}.`)
  }
  if (options.name === stream) throw new ConfigError(`--name ${stream} is the stream itself, which a replay leaves alone. Choose another.`)
  const signal = new AbortController().signal
  // In the order in which they were: an output where the last row of a key counts ends as it did.
  const ids = [...new Set(options.batch)].sort((a, b) => a - b)
  const batches = await findBatches(store, stream, ids, signal)
  const letters = [...outputs.values()].find(({ isDeadLetters }) => isDeadLetters)?.name
  const into = chosen.length > 0 ? chosen : outputsOfBatches(batches, { stream, has: name => outputs.has(name), letters })
  // Letters come with every run, and say of which stream they are.
  const of = { batches, outputs: into.filter(name => name !== letters), letters }
  const isDryRun = options.dryRun ?? false
  const name =
    options.name === undefined
      ? await nameReplay(store, stream, of, { isDryRun, signal })
      : await checkReplayName(store, options.name, of, signal)
  return { ...name, batches, outputs: of.outputs }
}

function hasRowsTwice({ outputs }: DriverJob, name: string): boolean {
  const sink = outputs.get(name)?.sink
  return sink !== undefined && addsRows(sink)
}

function printReplay(
  out: NodeJS.WritableStream,
  { stream, outputs }: DriverJob,
  { name, done, isResumed, batches, outputs: into }: Replay,
): void {
  const rows = batches.flatMap(batch =>
    batch.ranges.map((range, index) => [String(batch.id), String(index), showRange(range), showNumber(countOffsets(range))]),
  )
  const offsets = batches.flatMap(({ ranges }) => ranges).reduce((sum, range) => sum + countOffsets(range), 0)
  out.write(`${stream}: ${showCount(batches.length, 'batch', 'batches')} with ${showCount(offsets, 'offset')} would run again as ${name}\n`)
  if (isResumed) out.write(`It was cut short before: ${done} of ${batches.length} are complete, and it goes on.\n`)
  printTable(['batch', 'task', 'range', 'offsets'], rows, { out, align: 'words' })
  for (const output of into) {
    const sink = outputs.get(output)?.sink
    if (sink !== undefined) out.write(`Output ${output}: its rows are ${describeRewritten(sink, 'replayed')}.\n`)
  }
}
