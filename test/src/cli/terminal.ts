import { Writable } from 'node:stream'
import type { Terminal } from '../../../src/cli/status-line.ts'

/** What moves to the start of the line and empties it. */
const ERASE = '\r\u001b[2K'

/** A terminal that remembers what its screen shows, or a pipe that remembers what went through. */
export class Screen extends Writable {
  readonly isTTY: boolean
  readonly columns: number
  readonly #lines: string[] = ['']

  constructor({ isTTY = true, columns = 80 } = {}) {
    super({ decodeStrings: false })
    this.isTTY = isTTY
    this.columns = columns
  }

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    for (const [index, part] of String(chunk).split(ERASE).entries()) {
      if (index > 0) this.#lines[this.#lines.length - 1] = ''
      const [rest = '', ...below] = part.split('\n')
      this.#lines[this.#lines.length - 1] += rest
      this.#lines.push(...below)
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
