import { countOffsets, showPartition } from '../core/values.ts'
import { showBound, showTime } from '../driver/backfill/asked.ts'
import type { Estimate } from '../driver/backfill/estimate-time.ts'
import type { BackfillPlan } from '../driver/backfill/plan-backfill.ts'
import { printTable, showBytes, showCount, showDuration, showNumber } from './print.ts'

/** Partitions that a plan shows one by one. */
const PARTITIONS_SHOWN = 30

/** Shows what a backfill is going to do. */
export function printBackfill(out: NodeJS.WritableStream, plan: BackfillPlan): void {
  const { stream, name, asked, isResumed, isComplete, offsets, left, outputs, notes } = plan
  const { from, to, exactTime, lateMs } = asked
  out.write(`${name}: ${stream} from ${showBound(from)} to ${showBound(to)}, ${showCount(offsets, 'offset')}\n`)
  if (exactTime) {
    const late = lateMs > 0 ? `, looked for up to the first record of ${showTime((to.at === 'timestamp' ? to.timestamp : 0) + lateMs)}` : ''
    out.write(`Only records whose own timestamps are between the two${late}.\n`)
  }
  if (isResumed) {
    const state = isComplete
      ? 'It is complete.'
      : `It was begun before: ${showNumber(offsets - left)} are done, and it goes on with ${showNumber(left)}.`
    out.write(`${state}\n`)
  } else if (offsets === 0) out.write('No record is between the two, so there is nothing to read.\n')
  printRanges(out, plan)
  for (const note of notes) out.write(`${note}\n`)
  if (isComplete) return
  printOverlaps(out, plan)
  for (const { name: output, rewritten, addsRows } of outputs)
    out.write(`Output ${output}: ${describeOutput(plan, output, rewritten, addsRows)}\n`)
  printWeight(out, plan)
}

function printRanges(out: NodeJS.WritableStream, { ranges, isResumed, overlaps, stream }: BackfillPlan): void {
  const live = overlaps.find(overlap => overlap.stream === stream)
  const alsoLive = new Map(live?.partitions.map(at => [showPartition(at), at.committed + at.toCome]))
  const header = [
    'partition',
    'from',
    'until',
    'offsets',
    ...(isResumed ? ['next'] : []),
    ...(live === undefined ? [] : [`also ${stream}`]),
  ]
  const rows = ranges
    .slice(0, PARTITIONS_SHOWN)
    .map(range => [
      ...[showPartition(range), showNumber(range.fromOffset), showNumber(range.untilOffset), showNumber(countOffsets(range))],
      ...(isResumed ? [showNumber(range.position)] : []),
      ...(live === undefined ? [] : [showNumber(alsoLive.get(showPartition(range)) ?? 0)]),
    ])
  printTable(header, rows, { out })
  if (ranges.length > PARTITIONS_SHOWN)
    out.write(`and ${showCount(ranges.length - PARTITIONS_SHOWN, 'partition')} more (--json has them all)\n`)
}

function printOverlaps(out: NodeJS.WritableStream, { overlaps }: BackfillPlan): void {
  for (const { stream, committed, toCome } of overlaps) {
    const parts = [
      ...(committed > 0 ? [`has written ${showNumber(committed)} of these offsets`] : []),
      ...(toCome > 0 ? [`has yet to write ${showNumber(toCome)} of them`] : []),
    ]
    out.write(`${stream} ${parts.join(', and ')}.\n`)
  }
}

/** Of an output that nobody else writes these rows to, there is no second time. */
function describeOutput({ overlaps }: BackfillPlan, output: string, rewritten: string, addsRows: boolean): string {
  if (!addsRows) return `its rows are ${rewritten}.`
  const isShared = overlaps.some(({ outputs }) => outputs.includes(output))
  return isShared ? `rows that are there already, or come, are ${rewritten}.` : 'no other stream of the job writes these rows.'
}

function printWeight(out: NodeJS.WritableStream, { weight, estimate, left, maxRate }: BackfillPlan): void {
  if (typeof weight === 'string') out.write(`What it weighs is not known: ${weight}\n`)
  else if (weight !== undefined) {
    out.write(
      `About ${showCount(weight.records, 'record')} and ${showBytes(weight.bytes)}, by a sample of ${showCount(weight.sampled, 'offset')}.\n`,
    )
  }
  if (left === 0) return
  if (estimate !== undefined) out.write(`About ${showDuration(estimate.ms)}, ${describeBasis(estimate)}.\n`)
  else if (typeof weight === 'object') {
    const reading = showDuration((weight.records / weight.readPerSecond) * 1_000)
    out.write(
      `How long its outputs take is not known, for neither it nor the live stream has run yet; reading alone takes about ${reading}` +
        `${maxRate === undefined ? '' : ' at full speed'}.\n`,
    )
  }
}

function describeBasis({ rests, offsetsPerSecond }: Estimate): string {
  const perSecond = `${showNumber(Math.round(offsetsPerSecond))} a second`
  switch (rests) {
    case 'max-rate':
      return `at ${perSecond}, if the outputs keep up`
    case 'own-pace':
      return `by what it has done so far (${perSecond})`
    case 'live-pace':
      return `if it is as fast as the larger of the newest batches of the live stream (${perSecond})`
    default:
      return rests satisfies never
  }
}
