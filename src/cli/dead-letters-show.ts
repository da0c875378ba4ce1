import type { Command } from 'commander'
import type { DeadLetter } from '../core/dead-letters/dead-letter.ts'
import { wasRunAgain } from '../core/dead-letters/letter-filter.ts'
import { readLetters } from '../core/dead-letters/read-letters.ts'
import { addLetterFilters, type LetterFilterOptions, letterFilterOf } from './letter-filter-options.ts'
import { letterOutput, replayOfLetters, sinkOfLetters } from './letters-of-job.ts'
import { addStoreOption } from './options.ts'
import { parseCount } from './parse-count.ts'
import { printJson, printTable, showCount } from './print.ts'
import { withJob } from './with-job.ts'

type ShowOptions = LetterFilterOptions & {
  readonly stream?: string
  readonly limit: number
  readonly store?: string
  readonly json?: boolean
}

type Shown = DeadLetter & { readonly replayed: boolean }

/** How much of a value a table shows. */
const VALUE_CHARACTERS = 48
const READ_WITHIN_MS = 300_000

export function addDeadLettersShow(parent: Command): void {
  const command = parent
    .command('show')
    .description('the letters of a stream, oldest first, and whether they were run again')
    .argument('<job>', 'the job module')
    .option('--stream <name>', 'those that a replay wrote, such as orders~letters; by default those of the stream itself')
  addStoreOption(addLetterFilters(command).option('--limit <count>', 'at most so many, the newest', parseCount('--limit'), 50))
    .option('--json', 'print them as JSON, whole')
    .action(show)
}

async function show(path: string, options: ShowOptions): Promise<void> {
  await withJob(path, options, async ({ job }) => {
    const { stream = job.stream } = options
    const sink = sinkOfLetters(letterOutput(job), job.stream, stream)
    try {
      const where = { stream, ...letterFilterOf(options) }
      const newest = new Newest(options.limit)
      for await (const letters of readLetters(sink, { where, signal: AbortSignal.timeout(READ_WITHIN_MS) })) newest.add(letters)
      const { offsets } = await job.store.read(replayOfLetters(stream))
      const letters = newest.all().map((letter): Shown => ({ ...letter, replayed: wasRunAgain(letter, offsets) }))
      if (options.json) printJson({ stream, total: newest.total, letters })
      else print(stream, newest.total, letters)
    } finally {
      await sink.close?.()
    }
  })
}

function print(stream: string, total: number, letters: readonly Shown[]): void {
  const more = total > letters.length ? `, of which these are the newest ${letters.length}` : ''
  process.stdout.write(`${stream}: ${showCount(total, 'dead letter')}${more}\n`)
  if (letters.length === 0) return
  const rows = letters.map(letter => [
    String(letter.batch),
    `${letter.topic}/${letter.partition}`,
    String(letter.record_offset),
    letter.stage,
    (JSON.parse(letter.outputs) as string[]).join(', '),
    letter.replayed ? 'yes' : 'no',
    oneLine(`${letter.error_name}: ${letter.error_message}`, 2 * VALUE_CHARACTERS),
    letter.value_text === null ? (letter.value_base64 === null ? '(none)' : '(bytes)') : oneLine(letter.value_text, VALUE_CHARACTERS),
  ])
  printTable(['batch', 'partition', 'offset', 'stage', 'lost by', 'replayed', 'error', 'value'], rows, { align: 'words' })
}

/** Terminals are not to be told what to do by a record. */
function oneLine(text: string, most: number): string {
  const plain = text.replace(/\s+/g, ' ').replace(/\p{Cc}/gu, '·')
  return plain.length > most ? `${plain.slice(0, most - 1)}…` : plain
}

/** Keeps the newest of many, which may come in any order. */
class Newest {
  total = 0
  readonly #limit: number
  #kept: DeadLetter[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  add(letters: readonly DeadLetter[]): void {
    this.total += letters.length
    this.#kept.push(...letters)
    if (this.#kept.length > 2 * this.#limit) this.#kept = this.all()
  }

  all(): DeadLetter[] {
    return this.#kept.toSorted(compare).slice(-this.#limit)
  }
}

function compare(a: DeadLetter, b: DeadLetter): number {
  return (
    a.batch - b.batch ||
    a.topic.localeCompare(b.topic, 'en') ||
    a.partition - b.partition ||
    a.record_offset - b.record_offset ||
    (a.stage < b.stage ? -1 : 1)
  )
}
