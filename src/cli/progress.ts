import { styleText } from 'node:util'
import { errorMessage, retryAfterOf } from '../core/errors.ts'
import type { Listener, StreamEvent } from '../core/events.ts'
import type { SkippedRecords } from '../core/executor.ts'
import type { Log } from '../core/log.ts'
import { showRange } from '../core/values.ts'
import { showNumber } from './print.ts'
import { Rate } from './rate.ts'
import { StatusLine, type Terminal } from './status-line.ts'

const REDRAW_MS = 100
const PRINT_MS = 1_000
const RATE_WINDOW_MS = 5_000
/** How long after a batch, with nothing left to read, the line says that the stream waits (ms). */
const IDLE_AFTER_MS = 1_000
const RANGES_SHOWN = 8

/** What is shown of a run in place of the line that every run has. */
export interface ProgressView {
  /** How often it is printed where there is no terminal (ms). */
  readonly printMs: number
  note(event: StreamEvent): void
  /** Lines for a terminal of this size, or one for the output of a program. */
  text(size: { readonly columns: number; readonly rows: number } | undefined): string
}

/** For a terminal that does not say how large it is. */
const UNKNOWN_SIZE = { columns: 80, rows: 24 }

/**
 * Shows a run on stderr: records a second, lag, batch and delay. On a terminal it is one line that changes, elsewhere a line a second;
 * what needs to be read stays above it.
 */
export class Progress {
  readonly #terminal: Terminal
  readonly #line: StatusLine | undefined
  readonly #timer: NodeJS.Timeout
  readonly #view: ProgressView | undefined
  readonly #rate = new Rate(RATE_WINDOW_MS)
  /** Troubles that were told; each is told once until all is well again. */
  readonly #told = new Set<string>()
  /** Outputs for which records were left out. */
  readonly #skipping = new Set<string>()
  #records = 0
  #counted: string | undefined
  #batch: { readonly id: number; readonly isReplay: boolean } | undefined
  #completedAt: number | undefined
  #lag: number | undefined
  #delayMs: number | undefined
  /** Of the batch in hand, the outputs that are not through with it, with their tasks. */
  readonly #open = new Map<string, { done: number; readonly total: number }>()
  #outputs = 0
  #deadLetters = 0
  #isRunning = false
  #hasNews = false
  #ended = false

  constructor(terminal: Terminal, others: readonly Terminal[] = [], view?: ProgressView) {
    this.#terminal = terminal
    this.#view = view
    this.#line = terminal.isTTY ? new StatusLine(terminal, others) : undefined
    this.#timer = setInterval(() => this.#show(), terminal.isTTY ? REDRAW_MS : (view?.printMs ?? PRINT_MS)).unref()
  }

  readonly listener: Listener = event => this.#note(event)

  /** For a job without a log of its own. What the driver logs is told by events already, so only what others warn of is left to say. */
  readonly log: Log = {
    debug: () => {},
    info: () => {},
    warn: (fields, message = '') => {
      if (!('stream' in fields)) this.#warn(message)
    },
    error: (fields, message = '') => {
      if (!('stream' in fields) || 'event' in fields) this.#warn(message)
    },
  }

  /** Prints a line that stays. */
  say(line: string): void {
    this.#terminal.write(`${line}\n`)
  }

  /** Shows the last state and leaves it. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    const isEmpty = this.#batch === undefined
    if (!isEmpty) this.#show()
    this.#line?.end({ erase: isEmpty })
  }

  #warn(message: string): void {
    if (this.#told.has(message)) return
    this.#told.add(message)
    this.say(`${this.#style('yellow', 'warning:')} ${message}`)
  }

  #note(event: StreamEvent): void {
    this.#view?.note(event)
    switch (event.type) {
      case 'standingBy':
        this.say(`${event.stream}: standing by. ${event.reason}`)
        return
      case 'streamStarted':
        this.#isRunning = true
        this.say(`${event.stream}: started at epoch ${event.epoch}, ${event.guarantee}, into ${event.outputs.join(', ')}`)
        return
      case 'batchSubmitted': {
        const { id, isReplay, ranges, batchTime } = event.batch
        // The first rate is that of the first batch, not of the connecting before it.
        if (this.#batch === undefined) this.#rate.note(performance.now(), 0)
        this.#batch = { id, isReplay }
        this.#completedAt = undefined
        if (isReplay) {
          const lines = ranges.slice(0, RANGES_SHOWN).map(range => `  ${showRange(range)}`)
          if (ranges.length > RANGES_SHOWN) lines.push(`  and ${ranges.length - RANGES_SHOWN} more ranges`)
          const begun = new Date(batchTime).toISOString()
          this.say([`${event.stream}: replaying batch ${id}, begun ${begun} and not committed:`, ...lines].join('\n'))
        }
        return
      }
      case 'batchStarted':
        this.#outputs = event.batch.outputOperations.length
        this.#open.clear()
        for (const { name, numTasks = 0 } of event.batch.outputOperations) this.#open.set(name, { done: 0, total: numTasks })
        return
      case 'outputOperationCompleted':
        this.#open.delete(event.operation.name)
        this.#hasNews = true
        return
      case 'taskEnded': {
        const { status, task, records = 0, willRetry, error } = event.task
        // Outputs of one range share its read, so the records of one of them are those that were read.
        this.#counted ??= task.output
        if (status === 'completed' && task.output === this.#counted) this.#records += records
        const own = this.#open.get(task.output)
        if (status === 'completed' && own !== undefined) own.done += 1
        const into = this.#outputs > 1 ? ` into ${task.output}` : ''
        // A service that is away is told once, as what the stream waits for, and not by each task that finds it so.
        const isNews = willRetry && retryAfterOf(error) === undefined
        if (isNews) this.#warn(`task ${showRange(task.range)} of batch ${task.batchId}${into} is tried again: ${errorMessage(error)}`)
        this.#hasNews = true
        return
      }
      case 'batchCompleted':
        this.#completedAt = performance.now()
        this.#lag = event.batch.lag
        this.#deadLetters += event.batch.numDeadLetters ?? 0
        this.#delayMs = event.batch.totalDelay
        this.#hasNews = true
        return
      case 'jobChanged':
        this.say(`${event.stream}: ${event.message}`)
        return
      case 'dataLoss':
        this.#warn(`data loss, going on: ${event.message}`)
        return
      case 'recordsSkipped':
        this.#noteSkipped(event.output, event.samples)
        return
      case 'health':
        this.#noteHealth(event.stream, event.status, event.reason)
        return
      case 'error':
        if (!event.fatal) this.#warn(event.error.message)
        return
      default:
        return
    }
  }

  /** The first of an output is told, with why; how many there are in the end. */
  #noteSkipped(output: string, [first]: SkippedRecords['samples']): void {
    if (this.#skipping.has(output) || first === undefined) return
    this.#skipping.add(output)
    this.#warn(`records are skipped for ${output}, the first: ${first.message}`)
  }

  #noteHealth(stream: string, status: 'green' | 'red', reason = ''): void {
    if (status === 'green') {
      this.#told.clear()
      this.say(`${stream}: ${this.#style('green', 'health is green again')}`)
      return
    }
    const why = this.#told.has(reason) ? '' : ` (${reason})`
    this.#told.add(reason)
    this.say(`${stream}: ${this.#style('red', 'health is red')}${why}; the stream goes on when this has passed`)
  }

  #show(): void {
    if (this.#batch !== undefined) this.#rate.note(performance.now(), this.#records)
    if (this.#line !== undefined) {
      if (this.#isRunning) this.#line.draw(this.#text())
    } else if (this.#hasNews) this.say(this.#text())
    this.#hasNews = false
  }

  #text(): string {
    if (this.#view !== undefined) {
      const { isTTY, columns, rows } = this.#terminal
      return this.#view.text(isTTY ? { columns: columns || UNKNOWN_SIZE.columns, rows: rows || UNKNOWN_SIZE.rows } : undefined)
    }
    if (this.#batch === undefined) return 'waiting for records'
    const { id, isReplay } = this.#batch
    const waited = this.#completedAt === undefined ? 0 : performance.now() - this.#completedAt
    if (!this.#ended && !this.#lag && waited > IDLE_AFTER_MS) {
      return `waiting for records  batch ${id} committed  ${showNumber(this.#records)} records`
    }
    const perSecond = this.#rate.perSecond()
    const parts = [`batch ${id}${isReplay ? ' (replay)' : ''}`, `${showNumber(this.#records)} records`]
    if (perSecond !== undefined && this.#records > 0) parts.push(`${showNumber(Math.round(perSecond))} records/s`)
    if (this.#lag !== undefined) parts.push(`lag ${showNumber(this.#lag)}`)
    if (this.#deadLetters > 0) parts.push(`${showNumber(this.#deadLetters)} dead ${this.#deadLetters === 1 ? 'letter' : 'letters'}`)
    const behind = this.#behind()
    if (behind !== undefined) parts.push(behind)
    if (this.#delayMs !== undefined) parts.push(`delay ${(this.#delayMs / 1000).toFixed(2)} s`)
    return parts.join('  ')
  }

  /** The outputs that others are done and wait for. */
  #behind(): string | undefined {
    if (this.#open.size === 0 || this.#open.size === this.#outputs) return undefined
    return `behind: ${Array.from(this.#open, ([name, { done, total }]) => `${name} (${done} of ${total} tasks)`).join(', ')}`
  }

  #style(color: 'red' | 'green' | 'yellow', text: string): string {
    return styleText(color, text, { stream: this.#terminal })
  }
}
