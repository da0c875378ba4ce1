/** A chunk is sent once it holds so much, bytes: large enough that a write to the socket costs nothing beside the rows in it. */
const CHUNK_SIZE = 64 * 1024
/** What a task starts with, bytes; most tasks of a fast stream are small. */
const FIRST_SIZE = 8 * 1024
/** Of a CopyData message: its kind and its length, which is known only at the end. */
const HEADER_SIZE = 5
const COPY_DATA = 0x64

/**
 * Where rows are encoded: one CopyData message after another, each in a buffer of its own that goes to the socket as it is, uncopied.
 * Encoders reserve what they need, then write at `at` through `bytes` and `view`.
 */
export class CopyBuffer {
  bytes: Buffer
  view: DataView
  at = HEADER_SIZE

  constructor() {
    this.bytes = Buffer.allocUnsafeSlow(FIRST_SIZE)
    this.view = viewOf(this.bytes)
  }

  get isFull(): boolean {
    return this.at >= CHUNK_SIZE
  }

  /** Makes room for `size` more bytes. */
  reserve(size: number): void {
    if (this.at + size > this.bytes.length) this.#grow(this.at + size)
  }

  /** What was written since the last call as a CopyData message, which is the caller's now; undefined where that is nothing. */
  take(): Buffer | undefined {
    if (this.at === HEADER_SIZE) return undefined
    this.bytes[0] = COPY_DATA
    this.view.setInt32(1, this.at - 1)
    const message = this.bytes.subarray(0, this.at)
    this.bytes = Buffer.allocUnsafeSlow(CHUNK_SIZE + FIRST_SIZE)
    this.view = viewOf(this.bytes)
    this.at = HEADER_SIZE
    return message
  }

  #grow(size: number): void {
    const bytes = Buffer.allocUnsafeSlow(Math.max(size, Math.min(2 * this.bytes.length, CHUNK_SIZE + FIRST_SIZE)))
    this.bytes.copy(bytes, 0, 0, this.at)
    this.bytes = bytes
    this.view = viewOf(bytes)
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
