import { zstdDecompressSync } from 'node:zlib'
import { errorMessage } from '../../../src/core/errors.ts'
import { notDecodable, tooLarge } from './limit.ts'

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC = 0x184d2a50
const MAX_BLOCK_BYTES = 128 * 1024
/** What frames have lately grown by; the room for the next one is made by it. */
let usualExpansion = 8
const BLOCK = { raw: 0, repeated: 1, compressed: 2 } as const

/**
 * Decompresses Zstandard, one frame or several (RFC 8878). Node decodes the first frame and drops what follows without a word, so the
 * frames are told apart here, by their block headers. Throws `DecodeError` for broken data or more than `maxDecompressedBytes`.
 */
export function unzstd(bytes: Buffer, maxDecompressedBytes: number): Buffer {
  const frames: Buffer[] = []
  let left = maxDecompressedBytes
  for (let at = 0; at < bytes.length; ) {
    const frame = measureFrame(bytes, at)
    if (!frame.skippable) {
      const decoded = decodeFrame(at === 0 && frame.end === bytes.length ? bytes : bytes.subarray(at, frame.end), frame.maxBytes, left)
      if (decoded === undefined) throw tooLarge('zstd', maxDecompressedBytes)
      frames.push(decoded)
      left -= decoded.length
    }
    at = frame.end
  }
  const [first] = frames
  if (first === undefined) throw notDecodable('zstd', 'it holds no frame')
  return frames.length === 1 ? first : Buffer.concat(frames)
}

function decodeFrame(frame: Buffer, boundBytes: number, maxBytes: number): Buffer | undefined {
  // Room for the usual ratio at once: growing chunk by chunk halves the speed, and what is left of the room lives as long as the records.
  const expected = Math.ceil(frame.length * usualExpansion * 1.1)
  const chunkSize = Math.max(64, Math.min(boundBytes, Math.max(16_384, expected), 4_194_304, maxBytes + 64))
  try {
    const decoded = zstdDecompressSync(frame, { chunkSize, maxOutputLength: Math.max(1, maxBytes) })
    usualExpansion = (usualExpansion + decoded.length / frame.length) / 2
    return decoded
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw notDecodable('zstd', errorMessage(error), error)
  }
}

type Frame = { readonly end: number; readonly skippable: boolean; readonly maxBytes: number }

function measureFrame(bytes: Buffer, start: number): Frame {
  const read = (at: number, size: number): number => {
    if (at + size > bytes.length) throw notDecodable('zstd', `the frame at byte ${start} ends past its ${bytes.length} bytes`)
    return size === 0 ? 0 : bytes.readUIntLE(at, size)
  }
  const magic = read(start, 4)
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
    const end = start + 8 + read(start + 4, 4)
    read(end, 0)
    return { end, skippable: true, maxBytes: 0 }
  }
  if (magic !== MAGIC) throw notDecodable('zstd', `there is no frame at byte ${start}`)
  const descriptor = read(start + 4, 1)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeFlag = descriptor >>> 6
  const contentSizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  let at = start + 5 + (isSingleSegment ? 0 : 1) + dictionaryIdBytes + contentSizeBytes
  let maxBytes = 64
  for (let isLast = false; !isLast; ) {
    const header = read(at, 3)
    isLast = (header & 1) === 1
    const type = (header >>> 1) & 3
    const size = header >>> 3
    at += 3 + (type === BLOCK.repeated ? 1 : size)
    maxBytes += type === BLOCK.compressed ? MAX_BLOCK_BYTES : size
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4)
  read(end, 0)
  return { end, skippable: false, maxBytes }
}
