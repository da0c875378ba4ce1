import type { WriteStream } from 'node:tty'
import { createLogUpdate } from 'log-update'
import { errorMessage } from '../core/errors.ts'
import type { Listener, StreamEvent } from '../core/events.ts'
import type { Log } from '../core/log.ts'
import { showRange } from '../core/values.ts'
import { showNumber } from './print.ts'

const REDRAW_MS = 100
const PRINT_MS = 1_000
/** Rates are over this much of the past, so that they neither jump with each batch nor remember the start for ever. */
const RATE_WINDOW_MS = 5_000

/**
 * Shows a run on stderr: records a second, lag, batch and delay. On a terminal it is one line that changes, elsewhere a line a second;
 * what needs to be read stays above it.
 */
export class Progress {
  readonly #stream: WriteStream | NodeJS.WriteStream
  readonly #update: ReturnType<typeof createLogUpdate>
  readonly #timer: NodeJS.Timeout
  readonly #past: { readonly at: number; readonly records: number }[] = []
  #records = 0
  #counted: string | undefined
  #batch: { id: number; isReplay: boolean } | undefined
  #lag: number | undefined
  #delayMs: number | undefined
  #hasNews = false
  #ended = false

  constructor(stream: WriteStream | NodeJS.WriteStream) {
    this.#stream = stream
    this.#update = createLogUpdate(stream as NodeJS.WriteStream)
    this.#timer = setInterval(() => this.#show(), stream.isTTY ? REDRAW_MS : PRINT_MS).unref()
  }

  readonly listener: Listener = event => this.#note(event)

  /** For a job without a log of its own: only what needs to be read. */
  readonly log: Log = {
    debug: () => {},
    info: () => {},
    warn: (_fields, message = '') => this.say(`warning: ${message}`),
    error: () => {},
  }

  /** Prints a line that stays. */
  say(line: string): void {
    if (this.#stream.isTTY) this.#update.clear()
    this.#stream.write(`${line}\n`)
    if (this.#stream.isTTY && !this.#ended) this.#draw()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    this.#show()
    if (this.#stream.isTTY) this.#update.done()
  }

  #note(event: StreamEvent): void {
    switch (event.type) {
      case 'standingBy':
        this.say(`${event.stream}: standing by. ${event.reason}`)
        return
      case 'streamStarted':
        this.say(`${event.stream}: started at epoch ${event.epoch}, ${event.guarantee}, into ${event.outputs.join(', ')}`)
        return
      case 'batchSubmitted': {
        const { id, isReplay, ranges, batchTime } = event.batch
        this.#batch = { id, isReplay }
        if (isReplay) {
          this.say(`${event.stream}: replaying batch ${id}, begun ${new Date(batchTime).toISOString()} and not committed:`)
          for (const range of ranges.slice(0, 8)) this.say(`  ${showRange(range)}`)
          if (ranges.length > 8) this.say(`  and ${ranges.length - 8} more ranges`)
        }
        return
      }
      case 'taskEnded':
        // Outputs of one range share its read, so the records of one of them are those that were read.
        this.#counted ??= event.task.task.output
        if (event.task.status === 'completed' && event.task.task.output === this.#counted) this.#records += event.task.records ?? 0
        this.#hasNews = true
        return
      case 'batchCompleted':
        this.#lag = event.batch.lag
        this.#delayMs = event.batch.totalDelay
        this.#hasNews = true
        return
      case 'health':
        this.say(event.status === 'red' ? `${event.stream}: health is red: ${event.reason}` : `${event.stream}: health is green again`)
        return
      case 'error':
        if (!event.fatal) this.say(`${event.stream}: ${errorMessage(event.error)}`)
        return
      default:
        return
    }
  }

  #show(): void {
    const now = performance.now()
    this.#past.push({ at: now, records: this.#records })
    while (this.#past.length > 2 && now - (this.#past[1]?.at ?? now) > RATE_WINDOW_MS) this.#past.shift()
    if (this.#stream.isTTY) this.#draw()
    else if (this.#hasNews) this.#stream.write(`${this.#line()}\n`)
    this.#hasNews = false
  }

  #draw(): void {
    if (this.#batch !== undefined) this.#update(this.#line())
  }

  #line(): string {
    const first = this.#past[0]
    const last = this.#past.at(-1)
    const elapsed = first === undefined || last === undefined ? 0 : last.at - first.at
    const rate = first === undefined || last === undefined || elapsed < 1 ? 0 : ((last.records - first.records) / elapsed) * 1000
    const replay = this.#batch?.isReplay ? ' (replay)' : ''
    const delay = this.#delayMs === undefined ? '-' : `${(this.#delayMs / 1000).toFixed(2)} s`
    return `batch ${this.#batch?.id ?? '-'}${replay}  ${showNumber(this.#records)} records  ${showNumber(Math.round(rate))} records/s  lag ${showNumber(this.#lag)}  delay ${delay}`
  }
}
