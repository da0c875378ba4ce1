/** A stream of the terminal, as `process.stderr` is one. */
export type Terminal = NodeJS.WriteStream

/** For a terminal that does not say how wide it is, or says 0. */
const UNKNOWN_COLUMNS = 80
const ERASE = '\r\u001b[2K'

/**
 * Keeps one changing line at the bottom of the terminal. Whatever else the process prints meanwhile, rows of a console output and a job's own
 * `console.log` too, goes above it: else the next redraw would erase it. The cursor stays visible, for a killed process cannot bring it back.
 */
export class StatusLine {
  readonly #terminal: Terminal
  readonly #restore: (() => void)[] = []
  readonly #write: (text: string) => void
  #text = ''
  #isWithinLine = false

  /** Draws on `terminal`; `others` are the streams that may print to the same screen. */
  constructor(terminal: Terminal, others: readonly Terminal[] = []) {
    this.#terminal = terminal
    const write = terminal.write.bind(terminal) as (text: string) => boolean
    this.#write = text => void write(text)
    for (const stream of new Set([terminal, ...others.filter(other => other.isTTY)])) this.#listen(stream)
  }

  /** Replaces the line, cut at the terminal's width: a line that wraps could not be erased. */
  draw(text: string): void {
    const cut = text.slice(0, Math.max(1, (this.#terminal.columns || UNKNOWN_COLUMNS) - 1))
    if (cut === this.#text) return
    this.#text = cut
    if (!this.#isWithinLine) this.#write(ERASE + cut)
  }

  /** Ends the drawing: leaves the line as it is, with what is printed from now on below it, or takes it away. */
  end({ erase = false }: { readonly erase?: boolean } = {}): void {
    for (const restore of this.#restore.splice(0)) restore()
    if (this.#text !== '') this.#write(erase ? ERASE : '\n')
  }

  #listen(stream: Terminal): void {
    const write = stream.write
    const passOn = write.bind(stream) as (...args: unknown[]) => boolean
    stream.write = ((chunk: unknown, ...rest: unknown[]) => {
      if (!this.#isWithinLine && this.#text !== '') this.#write(ERASE)
      const result = passOn(chunk, ...rest)
      // A line begun by somebody else is not cut in two.
      this.#isWithinLine = !endsLine(chunk)
      if (!this.#isWithinLine && this.#text !== '') this.#write(this.#text)
      return result
    }) as typeof stream.write
    this.#restore.push(() => {
      stream.write = write
    })
  }
}

function endsLine(chunk: unknown): boolean {
  if (typeof chunk === 'string') return chunk.endsWith('\n')
  return chunk instanceof Uint8Array && chunk.at(-1) === 0x0a
}
