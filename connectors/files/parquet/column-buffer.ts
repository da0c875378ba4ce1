/** Small, for a task may have a thousand folders with a hundred columns each. */
const FIRST_SIZE = 64
const NOTHING = Buffer.alloc(0)
const VIEW_OF_NOTHING = viewOf(NOTHING)

/** Where the values of one column are encoded, of a whole row group one after another, with what its statistics need. */
export class ColumnBuffer {
  bytes: Buffer = NOTHING
  view: DataView = VIEW_OF_NOTHING
  at = 0
  /** Of numbers; Infinity and -Infinity before the first. */
  min = Number.POSITIVE_INFINITY
  max = Number.NEGATIVE_INFINITY
  /** Of integers that a number cannot hold. */
  minBig: bigint | undefined
  maxBig: bigint | undefined
  /** Of bytes: where the least and the greatest lie in here. */
  least: { readonly at: number; readonly length: number } | undefined
  greatest: { readonly at: number; readonly length: number } | undefined
  /** Whether there is a value that has no place in an order. */
  hasNaN = false

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    if (this.at + size <= this.bytes.length) return
    const bytes = Buffer.allocUnsafeSlow(Math.max(FIRST_SIZE, this.at + size, 2 * this.bytes.length))
    const before = this.bytes
    before.copy(bytes, 0, 0, this.at)
    this.bytes = bytes
    this.view = viewOf(bytes)
    free(before)
  }

  /** Makes room for a value of `size` bytes behind the others and gives its place. `bytes` and `view` may be others than before. */
  take(size: number): number {
    this.reserve(size)
    const { at } = this
    this.at = at + size
    return at
  }

  /**
   * Gives its memory back at once, and not with a collection that comes when it comes: many files that are filled one after another would hold a row group
   * each. Nobody may still read what was in here.
   */
  release(): void {
    const before = this.bytes
    this.clear()
    this.bytes = NOTHING
    this.view = VIEW_OF_NOTHING
    free(before)
  }

  /** Takes bytes that lie in here into the statistics. */
  seeBytes(at: number, length: number): void {
    const { bytes, least, greatest } = this
    if (least === undefined || isBelow(bytes, at, length, least.at, least.length)) this.least = { at, length }
    if (greatest === undefined || isBelow(bytes, greatest.at, greatest.length, at, length)) this.greatest = { at, length }
  }

  seeNumber(value: number): void {
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
    if (Number.isNaN(value)) this.hasNaN = true
  }

  seeBig(value: bigint): void {
    if (this.minBig === undefined || value < this.minBig) this.minBig = value
    if (this.maxBig === undefined || value > this.maxBig) this.maxBig = value
  }

  /** Ready for the next row group; its memory is kept. */
  clear(): void {
    this.at = 0
    this.min = Number.POSITIVE_INFINITY
    this.max = Number.NEGATIVE_INFINITY
    this.minBig = undefined
    this.maxBig = undefined
    this.least = undefined
    this.greatest = undefined
    this.hasNaN = false
  }
}

/** In the order of unsigned bytes, which for UTF-8 is that of code points, and is what readers compare by. */
function isBelow(bytes: Buffer, at: number, length: number, otherAt: number, otherLength: number): boolean {
  const shorter = length < otherLength ? length : otherLength
  for (let i = 0; i < shorter; i++) {
    const difference = (bytes[at + i] as number) - (bytes[otherAt + i] as number)
    if (difference !== 0) return difference < 0
  }
  return length < otherLength
}

/** Moved away into a buffer of no bytes, memory is free without waiting for a collection. */
function free(bytes: Buffer): void {
  if (bytes.length > 0) (bytes.buffer as ArrayBuffer).transfer(0)
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
