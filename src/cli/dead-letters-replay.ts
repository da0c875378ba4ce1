import type { Command } from 'commander'
import { filterOfTopic, isLetterOf, type LetterFilter, topicOfFilter, wasRunAgain } from '../core/dead-letters/letter-filter.ts'
import { readLetters } from '../core/dead-letters/read-letters.ts'
import { ConfigError } from '../core/errors.ts'
import type { DriverJob } from '../driver/driver-job.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { addLetterFilters, type LetterFilterOptions, letterFilterOf } from './letter-filter-options.ts'
import { letterOutput, replayOfLetters, sinkOfLetters } from './letters-of-job.ts'
import { addChangeOptions, addStoreOption } from './options.ts'
import { printJson, printTable, showCount, showNumber, textStream } from './print.ts'
import { collect } from './run-command.ts'
import { runToEnd } from './run-to-end.ts'
import { withJob } from './with-job.ts'

type ReplayOptions = ConfirmOptions &
  LetterFilterOptions & {
    readonly stream?: string
    readonly name?: string
    readonly adopt?: readonly string[]
    readonly store?: string
    readonly json?: boolean
    readonly progress?: boolean
  }

/** What is about to be run again. */
type Found = {
  readonly stream: string
  readonly name: string
  /** Of batches from here, up to the one before `untilBatch`. */
  readonly fromBatch: number
  readonly untilBatch: number
  readonly where: LetterFilter
  /** Whether it was cut short before, in a batch of its own. */
  readonly isResumed: boolean
  readonly letters: number
  /** Records by the output that went without them. */
  readonly byOutput: ReadonlyMap<string, number>
}

const READ_WITHIN_MS = 300_000

export function addDeadLettersReplay(parent: Command): void {
  const command = parent
    .command('replay')
    .description('run the letters through the job again, each into the outputs that went without it')
    .argument('<job>', 'the job module')
    .option('--stream <name>', 'the letters of a replay, such as orders~letters; by default those of the stream itself')
    .option('--name <stream>', 'the stream it runs as; by default <stream>~letters')
    .option('--adopt <output>', 'make the destination of this output agree with the store, after having looked at why it refused', collect)
  addChangeOptions(addStoreOption(addLetterFilters(command)))
    .option('--progress', 'show progress also where stderr is no terminal, a line a second')
    .option('--no-progress', 'log a line a batch also where stderr is a terminal')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark deadletters replay orders.ts --dry-run\n  tidemark deadletters replay orders.ts --yes\n' +
        '  tidemark deadletters replay orders.ts --stream orders~letters --yes    those that failed in the replay once more\n' +
        '  tidemark deadletters replay orders.ts --stage "map (json)" --from 2026-11-01 --yes    some of them\n\n' +
        'The bytes are those in the letters, so Kafka need not have the records any more. It has a lease, positions and ledgers of its own, so the stream may\n' +
        'run meanwhile; one that was cut short is gone on with when it is asked for again, and the next one takes only the letters that came since.\n' +
        'One of some letters leaves the others for later, and whichever comes later leaves out what has been run.\n' +
        'What fails again becomes a letter of the replay. Records are old: an output that keeps the last row of a key needs its version.',
    )
    .action(replay)
}

async function replay(path: string, options: ReplayOptions): Promise<void> {
  await withJob(path, options, async ({ loaded, named, job }) => {
    const way = howToGo(options)
    const out = textStream(options)
    const found = await find(job, options)
    const { stream, name, untilBatch, letters, where } = found
    printFound(out, found)
    const about = { stream, name, where, letters, fromBatch: found.fromBatch, untilBatch, byOutput: Object.fromEntries(found.byOutput) }
    const isNothing = letters === 0 && !found.isResumed
    if (!isNothing && way === 'refuse') throw cannotAsk()
    const isAgreed =
      !isNothing && (way === 'do' || (way === 'ask' && (await askYes(`Run ${showCount(letters, 'dead letter')} again?`, {}))))
    if (!isAgreed) {
      if (options.json) printJson({ ...about, changed: false, dryRun: way === 'show' })
      else if (!isNothing) out.write('Nothing was run.\n')
      return
    }
    const { adopt, progress } = options
    const start = {
      name,
      deadLetters: { stream, untilBatch, where },
      until: 'latest' as const,
      ...(adopt !== undefined && { adopt }),
      ...(named !== undefined && { offsets: named }),
    }
    const summary = await runToEnd(loaded, start, progress === undefined ? {} : { progress })
    if (options.json) return printJson({ ...about, changed: true, dryRun: false, ...summary, letters, failedAgain: summary.deadLetters })
    const rows = summary.rows - summary.deadLetters
    out.write(`${name}: ${summary.reason}, ${showCount(summary.records, 'record')} gave ${showCount(rows, 'row')}`)
    out.write(
      summary.deadLetters === 0 ? '; none failed again\n' : `; ${showCount(summary.deadLetters, 'dead letter')} again, of ${name}\n`,
    )
  })
}

async function find(job: DriverJob, options: ReplayOptions): Promise<Found> {
  const { stream = job.stream } = options
  const output = letterOutput(job)
  const name = options.name ?? replayOfLetters(stream)
  if (name === stream || name === job.stream)
    throw new ConfigError(`--name ${name} is the stream itself, which a replay leaves alone. Choose another.`)
  const { lastBatchId } = await job.store.read(stream)
  const state = await job.store.read(name)
  const strange = state.offsets.find(({ topic }) => filterOfTopic(topic) === undefined)
  if (strange !== undefined)
    throw new ConfigError(
      `The store has a stream ${name} that is no replay of dead letters: it reads ${strange.topic}. Choose another --name.`,
    )
  const untilBatch = lastBatchId + 1
  const where = letterFilterOf(options)
  const own = topicOfFilter(where)
  const fromBatch = state.offsets.find(({ topic }) => topic === own)?.offset ?? 1
  const sink = sinkOfLetters(output, job.stream, stream)
  const records = new Map<string, Set<string>>()
  let letters = 0
  try {
    const asked = { stream, batch: { from: fromBatch, until: untilBatch } }
    for await (const all of readLetters(sink, { where: asked, signal: AbortSignal.timeout(READ_WITHIN_MS) })) {
      const some = all.filter(letter => isLetterOf(letter, where) && !wasRunAgain(letter, state.offsets))
      letters += some.length
      for (const { topic, partition, record_offset, outputs } of some) {
        for (const lost of JSON.parse(outputs) as string[]) {
          const own = records.get(lost) ?? new Set()
          records.set(lost, own.add(JSON.stringify([topic, partition, record_offset])))
        }
      }
    }
  } finally {
    await sink.close?.()
  }
  const byOutput = new Map(Array.from(records, ([lost, of]) => [lost, of.size]))
  return { stream, name, fromBatch, untilBatch, where, isResumed: state.pending !== undefined, letters, byOutput }
}

function printFound(out: NodeJS.WritableStream, { stream, name, where, fromBatch, untilBatch, isResumed, letters, byOutput }: Found): void {
  if (letters === 0) {
    out.write(
      `${stream}: no dead letters ${Object.keys(where).length > 0 ? 'of these ' : ''}${fromBatch > 1 ? `since batch ${fromBatch - 1}, up to which ${name} has run them` : 'in its committed batches'}\n`,
    )
    return
  }
  out.write(`${stream}: ${showCount(letters, 'dead letter')} of batches ${fromBatch} to ${untilBatch - 1} would run again as ${name}\n`)
  if (isResumed) out.write('It was cut short before, and goes on.\n')
  printTable(
    ['output that went without', 'records'],
    Array.from(byOutput, ([output, count]) => [output, showNumber(count)]),
    { out },
  )
}
