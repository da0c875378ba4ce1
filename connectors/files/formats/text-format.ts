import type { Task } from '../../../src/core/values.ts'
import { COMPRESSED_EXTENSION, compressText, type TextCompression } from './compress.ts'
import type { Format, FormatName, RowEncoder } from './format.ts'

/** Characters gathered before a write: large enough that the call to the system costs nothing beside the making of the text. */
const PLAIN_BUFFER = 512 * 1024
/** Of what is compressed: each piece is a member of its own, and small ones compress worse. */
const COMPRESSED_BUFFER = 2 * 1024 * 1024

export type TextFormatOptions = {
  readonly name: FormatName
  readonly compression: TextCompression
  readonly signature: string
  /** What stands in front of the rows. */
  readonly header: string
  /** One row with its line end. */
  readonly line: (row: unknown, place: number, task: Task) => string
}

/** Rows as lines of text, compressed or not: what JSONL and CSV have in common. */
export function textFormat(options: TextFormatOptions): Format {
  const { name, compression, signature } = options
  return {
    name,
    extension: `.${name}${COMPRESSED_EXTENSION[compression]}`,
    signature: `${signature}:${compression}`,
    bufferBytes: compression === 'none' ? PLAIN_BUFFER : COMPRESSED_BUFFER,
    encoder: () => new LineEncoder(options),
  }
}

class LineEncoder implements RowEncoder {
  headerBytes = 0
  readonly #options: TextFormatOptions
  #text = ''
  #isBegun = false

  constructor(options: TextFormatOptions) {
    this.#options = options
  }

  get buffered(): number {
    return this.#text.length
  }

  add(rows: readonly unknown[], placeOf: (index: number) => number, task: Task): void {
    const { line } = this.#options
    for (let i = 0; i < rows.length; i++) this.#text += line(rows[i], placeOf(i), task)
  }

  async flush(): Promise<readonly Uint8Array[]> {
    const pieces: Uint8Array[] = []
    const { header, compression } = this.#options
    if (!this.#isBegun && header !== '') {
      const piece = await compressText(Buffer.from(header), compression)
      this.headerBytes = piece.length
      pieces.push(piece)
    }
    const text = this.#text
    this.#text = ''
    if (text !== '') pieces.push(await compressText(Buffer.from(text), compression))
    // A file of no bytes is not one that a decompressor reads.
    if (!this.#isBegun && pieces.length === 0 && compression !== 'none') pieces.push(await compressText(Buffer.alloc(0), compression))
    this.#isBegun = true
    return pieces
  }

  async end(): Promise<readonly Uint8Array[]> {
    return this.#isBegun && this.#text === '' ? [] : this.flush()
  }

  /** What was given out is held no more. */
  release(): void {}
}
