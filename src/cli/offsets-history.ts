import type { Command } from 'commander'
import type { HistoryEntry } from '../core/offset-store.ts'
import { countOffsets, type OffsetRange, type PartitionOffset, showPartition } from '../core/values.ts'
import { showBound } from '../driver/backfill/asked.ts'
import { readSaved } from '../driver/backfill/saved-backfill.ts'
import { withStream } from './open-stream.ts'
import { addStreamArguments } from './options.ts'
import { parseCount } from './parse-count.ts'
import { printJson, printTable, showCount } from './print.ts'

const DEFAULT_LIMIT = 20
/** Positions of a reset that a line shows. */
const POSITIONS_SHOWN = 3

type HistoryOptions = {
  readonly store?: string
  readonly stream?: string
  readonly limit: number
  readonly before?: number
  readonly json?: boolean
}

export function addHistoryCommand(offsets: Command): void {
  addStreamArguments(
    offsets.command('history').description('what happened to a stream: starts, batches, resets and discards, newest first'),
  )
    .option('--limit <entries>', 'how many entries', parseCount('--limit'), DEFAULT_LIMIT)
    .option('--before <seq>', 'only entries older than this one', parseCount('--before'))
    .option('--json', 'print the entries as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets history orders.ts --limit 50\n  tidemark offsets history --stream orders --store redis://host:6379 --json',
    )
    .action(showHistory)
}

async function showHistory(path: string | undefined, options: HistoryOptions): Promise<void> {
  const { limit, before, json } = options
  await withStream(path, options, async ({ stream, store }) => {
    const entries: HistoryEntry[] = []
    for await (const entry of store.history(stream, { limit, ...(before !== undefined && { before }) })) entries.push(entry)
    if (json) return printJson({ stream, entries })
    if (entries.length === 0) {
      process.stdout.write(`${stream}: no history\n`)
      return
    }
    const rows = entries.map(entry => [
      String(entry.seq),
      new Date(entry.at).toISOString(),
      String(entry.epoch),
      entry.kind,
      describe(entry, stream),
    ])
    printTable(['seq', 'at', 'epoch', 'kind', 'what'], rows, { align: 'words' })
    const oldest = entries.at(-1)?.seq ?? 0
    if (entries.length === limit && oldest > 1) process.stdout.write(`Older ones: --before ${oldest}\n`)
  })
}

function describe(entry: HistoryEntry, stream: string): string {
  switch (entry.kind) {
    case 'start':
      return `${showPositions(entry.offsets)}`
    case 'batch':
      return `batch ${entry.batch.id}: ${showRanges(entry.batch.ranges)}`
    case 'discard':
      return `batch ${entry.batch.id} given up: ${showRanges(entry.batch.ranges)} (${entry.reason})`
    case 'reset': {
      const forgotten = entry.forgotten.length === 0 ? [] : [`forgotten: ${showSome(entry.forgotten.map(showPartition))}`]
      return `${[...(entry.offsets.length === 0 ? [] : [showPositions(entry.offsets)]), ...forgotten].join('; ')} (${describeReason(entry, stream)})`
    }
    default:
      return entry satisfies never
  }
}

/** What settles a backfill holds all of its ends. */
function describeReason(entry: Extract<HistoryEntry, { kind: 'reset' }>, stream: string): string {
  const backfill = readSaved(entry, stream)
  if (backfill === undefined) return entry.reason
  const { of, asked, ranges } = backfill
  const offsets = ranges.reduce((sum, range) => sum + countOffsets(range), 0)
  return `backfill of ${of} from ${showBound(asked.from)} to ${showBound(asked.to)}, ${showCount(offsets, 'offset')}`
}

function showRanges(ranges: readonly OffsetRange[]): string {
  const offsets = ranges.reduce((sum, range) => sum + countOffsets(range), 0)
  return `${showCount(ranges.length, 'range')}, ${showCount(offsets, 'offset')}`
}

function showPositions(offsets: readonly PartitionOffset[]): string {
  return showSome(offsets.map(at => `${showPartition(at)} at ${at.offset}`))
}

function showSome(texts: readonly string[]): string {
  const more = texts.length > POSITIONS_SHOWN ? ` and ${texts.length - POSITIONS_SHOWN} more` : ''
  return `${texts.slice(0, POSITIONS_SHOWN).join(', ')}${more}`
}
