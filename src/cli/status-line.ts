/** A stream of the terminal, as `process.stderr` is one. */
export type Terminal = NodeJS.WriteStream

/** For a terminal that does not say how wide it is, or says 0. */
const UNKNOWN_COLUMNS = 80
const ERASE_LINE = '\r\u001b[2K'
const LINE_UP = '\u001b[1A'

/**
 * Keeps one changing line, or a few, at the bottom of the terminal. Whatever else the process prints meanwhile, rows of a console output and a job's own
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

  /** Replaces the lines, each cut at the terminal's width: one that wraps could not be erased. */
  draw(text: string): void {
    const width = Math.max(1, this.#columns - 1)
    const cut = text
      .split('\n')
      .map(line => line.slice(0, width))
      .join('\n')
    if (cut === this.#text) return
    const erase = this.#erase()
    this.#text = cut
    if (!this.#isWithinLine) this.#write(erase + cut)
  }

  /** Ends the drawing: leaves the lines as they are, with what is printed from now on below them, or takes them away. */
  end({ erase = false }: { readonly erase?: boolean } = {}): void {
    for (const restore of this.#restore.splice(0)) restore()
    if (this.#text !== '') this.#write(erase ? this.#erase() : '\n')
  }

  get #columns(): number {
    return this.#terminal.columns || UNKNOWN_COLUMNS
  }

  /** What takes away the lines that are there. In a terminal that has become narrower since, they wrap. */
  #erase(): string {
    const rows = this.#text.split('\n').reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / this.#columns)), 0)
    return ERASE_LINE + (LINE_UP + ERASE_LINE).repeat(rows - 1)
  }

  #listen(stream: Terminal): void {
    const write = stream.write
    const passOn = write.bind(stream) as (...args: unknown[]) => boolean
    stream.write = ((chunk: unknown, ...rest: unknown[]) => {
      if (!this.#isWithinLine && this.#text !== '') this.#write(this.#erase())
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
