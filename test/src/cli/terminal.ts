import { Writable } from 'node:stream'
import type { Terminal } from '../../../src/cli/status-line.ts'

/** What moves to the start of the line and empties it, and what moves a line up. */
const ERASE = '\r\u001b[2K'
const UP = '\u001b[1A'
const MOVES = new RegExp(`(${RegExp.escape(ERASE)}|${RegExp.escape(UP)})`)

/** A terminal that remembers what its screen shows, or a pipe that remembers what went through. */
export class Screen extends Writable {
  readonly isTTY: boolean
  readonly columns: number
  readonly rows: number
  readonly #lines: string[] = ['']

  constructor({ isTTY = true, columns = 80, rows = 24 } = {}) {
    super({ decodeStrings: false })
    this.isTTY = isTTY
    this.columns = columns
    this.rows = rows
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    for (const part of String(chunk).split(MOVES)) {
      if (part === UP) this.#lines.pop()
      else if (part === ERASE) this.#lines[this.#lines.length - 1] = ''
      else {
        const [rest = '', ...below] = part.split('\n')
        this.#lines[this.#lines.length - 1] += rest
        this.#lines.push(...below)
      }
    }
    done()
  }

  /** What a person sees, line by line; the last is the one that the cursor is in. */
  get lines(): readonly string[] {
    return this.#lines
  }

  asTerminal(): Terminal {
    return this as unknown as Terminal
  }
}
