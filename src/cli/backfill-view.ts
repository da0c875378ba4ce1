import type { StreamEvent, TaskInfo } from '../core/events.ts'
import { countOffsets, type OffsetRange, partitionKey, showPartition } from '../core/values.ts'
import type { BackfillPlan, PlannedRange } from '../driver/backfill/plan-backfill.ts'
import { showBytes, showDuration, showNumber } from './print.ts'
import type { ProgressView } from './progress.ts'
import { Rate } from './rate.ts'

const RATE_WINDOW_MS = 10_000
/** Without a terminal the lines are kept, in a log that somebody reads later. */
const PRINT_MS = 10_000
/** Lines of partitions: more of them hide what was printed above. */
const PARTITIONS_SHOWN = 8
const LINES_LEFT_FREE = 3
const WIDEST_BAR = 30
/** In less than this there is no room for a bar. */
const BAR_FROM_COLUMNS = 50

type Lane = { readonly range: PlannedRange; position: number; inHand: number }

/** Shows how far a backfill has come: the whole as a bar, with records, bytes, rate and the time that is left, and each partition. */
export class BackfillView implements ProgressView {
  readonly printMs: number
  readonly #name: string
  readonly #lanes: Map<string, Lane>
  readonly #total: number
  readonly #offsetRate = new Rate(RATE_WINDOW_MS)
  readonly #recordRate = new Rate(RATE_WINDOW_MS)
  #counted: string | undefined
  #records = 0
  #bytes = 0
  #isPaused = false

  constructor({ name, ranges }: Pick<BackfillPlan, 'name' | 'ranges'>, { printMs = PRINT_MS }: { readonly printMs?: number } = {}) {
    this.printMs = printMs
    this.#name = name
    const own = ranges.filter(range => countOffsets(range) > 0)
    this.#lanes = new Map(own.map(range => [partitionKey(range), { range, position: range.position, inHand: 0 }]))
    this.#total = own.reduce((sum, range) => sum + countOffsets(range), 0)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  note(event: StreamEvent): void {
    switch (event.type) {
      case 'streamStarted':
        this.#sample()
        return
      case 'batchSubmitted':
        this.#letGo()
        return
      case 'taskEnded':
        this.#noteTask(event.task)
        return
      case 'batchCompleted':
        this.#letGo()
        for (const range of event.batch.ranges) this.#moveTo(range, range.untilOffset)
        return
      case 'dataLoss':
        for (const range of event.missing) this.#moveTo(range, Math.max(range.untilOffset, event.resumeAt ?? 0))
        return
      default:
        return
    }
  }

  text(size: { readonly columns: number; readonly rows: number } | undefined): string {
    this.#sample()
    const whole = this.#whole()
    if (size === undefined) return `${this.#name}: ${whole.join(', ').trimStart()}`
    const bar = size.columns < BAR_FROM_COLUMNS ? '' : `${drawBar(this.#share(), Math.min(WIDEST_BAR, Math.floor(size.columns / 4)))}  `
    const lines = [`${bar}${fitTo(whole, size.columns - bar.length)}`]
    const room = Math.min(PARTITIONS_SHOWN, size.rows - LINES_LEFT_FREE)
    if (room > 0 && this.#lanes.size > 1) lines.push(...this.#partitions(room, size.columns))
    return lines.join('\n')
  }

  #whole(): string[] {
    const parts = [showShare(this.#share()), `${showNumber(this.#records)} records`, showBytes(this.#bytes)]
    if (this.#isPaused) return [...parts, 'paused']
    const perSecond = this.#recordRate.perSecond()
    const offsetsPerSecond = this.#offsetRate.perSecond() ?? 0
    const left = this.#total - this.#done()
    if (perSecond !== undefined && this.#records > 0) parts.push(`${showNumber(Math.round(perSecond))} records/s`)
    if (left === 0) parts.push('complete')
    else if (offsetsPerSecond > 0) parts.push(`${showDuration((left / offsetsPerSecond) * 1_000)} left`)
    return parts
  }

  /** A line a partition, those that are complete first to go where there are too many. */
  #partitions(room: number, columns: number): string[] {
    const all = [...this.#lanes.values()]
    const open = all.filter(lane => shareOf(lane) < 1)
    const shown = all.length <= room ? all : open.slice(0, room - 1)
    const names = shown.map(({ range }) => showPartition(range))
    const widest = Math.max(...names.map(({ length }) => length))
    const bar = columns < BAR_FROM_COLUMNS ? 0 : Math.min(20, Math.floor(columns / 6))
    const lines = shown.map((lane, at) => {
      const numbers = `${showNumber(reached(lane) - lane.range.fromOffset)} of ${showNumber(countOffsets(lane.range))}`
      return `  ${(names[at] ?? '').padEnd(widest)}  ${bar === 0 ? '' : `${drawBar(shareOf(lane), bar)}  `}${showShare(shareOf(lane))}  ${numbers}`
    })
    const folded = all.length - shown.length
    if (folded > 0) {
      const complete = all.length - open.length
      lines.push(`  and ${folded} more: ${complete} complete, ${folded - complete} to go`)
    }
    return lines
  }

  #noteTask({ status, task, records = 0, bytes = 0 }: TaskInfo): void {
    // Outputs of one range share its read, so what one of them read is what was read.
    this.#counted ??= task.output
    if (status !== 'completed' || task.output !== this.#counted) return
    this.#records += records
    this.#bytes += bytes
    const lane = this.#lanes.get(partitionKey(task.range))
    if (lane !== undefined) lane.inHand += countOffsets(task.range)
  }

  /** A batch is committed as a whole, or not: what its tasks have done so far counts only while it runs. */
  #letGo(): void {
    for (const lane of this.#lanes.values()) lane.inHand = 0
  }

  #moveTo(range: OffsetRange, position: number): void {
    const lane = this.#lanes.get(partitionKey(range))
    if (lane !== undefined) lane.position = Math.max(lane.position, position)
  }

  #sample(): void {
    const now = performance.now()
    this.#offsetRate.note(now, this.#done())
    this.#recordRate.note(now, this.#records)
  }

  #done(): number {
    let done = 0
    for (const lane of this.#lanes.values()) done += reached(lane) - lane.range.fromOffset
    return done
  }

  #share(): number {
    return this.#total === 0 ? 1 : this.#done() / this.#total
  }
}

/** As many parts as there is room for: bytes go first, then the rate, then the records. */
function fitTo(parts: readonly string[], columns: number): string {
  const [share = '', records = '', , ...rest] = parts
  const left = rest.at(-1) ?? ''
  const ways = [parts, [share, records, ...rest], [share, records, left], [share, left]]
  const texts = ways.map(way => way.filter(part => part !== '').join('  '))
  return texts.find(text => text.length < columns) ?? share
}

function reached({ range, position, inHand }: Lane): number {
  return Math.min(range.untilOffset, position + inHand)
}

function shareOf(lane: Lane): number {
  return (reached(lane) - lane.range.fromOffset) / countOffsets(lane.range)
}

/** Rounded down: nothing is at 100 % that is not complete. */
function showShare(share: number): string {
  return `${Math.floor(share * 100)} %`.padStart(5)
}

function drawBar(share: number, width: number): string {
  const full = Math.floor(share * width)
  return '█'.repeat(full) + '░'.repeat(width - full)
}
