import { errorMessage } from '../../../src/core/errors.ts'
import { notDecodable, tooLarge } from './limit.ts'
import { loadNative } from './load-native.ts'

type Lz4 = { uncompressSync(input: Uint8Array, dictionary?: Uint8Array): Buffer }

const MAGIC = 0x184d2204
const SKIPPABLE_MAGIC = 0x184d2a50
const WINDOW_BYTES = 65_536
/** LZ4 cannot expand more than this. */
const MAX_EXPANSION = 255
const USUAL_EXPANSION = 10

let lz4: Lz4 | undefined
let scratch = Buffer.allocUnsafeSlow(0)

/**
 * Decompresses LZ4 frames (LZ4F): one or several, blocks independent or linked, of any size, with or without a content size.
 * The frame is taken apart here and only its blocks go to the native package: its own frame decoder is seven times slower, has no limit and
 * drops every frame after the first. Checksums within the frame are not looked at: the batch's covers every byte, and those of the frame
 * header are wrong by design in messages of magic 0 (KIP-57).
 *
 * Throws `DecodeError` for broken data or more than `maxDecompressedBytes`; no more than one block beyond that is ever allocated.
 */
export function unlz4(bytes: Buffer, maxDecompressedBytes: number): Buffer {
  const blocks: Buffer[] = []
  let total = 0
  for (let at = 0; at < bytes.length; ) {
    const magic = uint32(bytes, at)
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
      at += 8 + uint32(bytes, at + 4)
      continue
    }
    if (magic !== MAGIC) throw notDecodable('lz4', `there is no frame at byte ${at}`)
    const header = readHeader(bytes, at)
    if (header.contentBytes > maxDecompressedBytes - total) throw tooLarge('lz4', maxDecompressedBytes)
    at = header.end
    let window: Buffer | undefined
    for (;;) {
      const field = uint32(bytes, at)
      at += 4
      if (field === 0) break
      const isStored = field >= 0x80000000
      const end = at + (isStored ? field - 0x80000000 : field)
      if (end > bytes.length) throw notDecodable('lz4', `the block at byte ${at - 4} ends past its ${bytes.length} bytes`)
      const block = isStored ? bytes.subarray(at, end) : unlz4Block(bytes, at, end, header.maxBlockBytes, window)
      if (block.length > header.maxBlockBytes) throw notDecodable('lz4', `the block at byte ${at - 4} is larger than the frame allows`)
      total += block.length
      if (total > maxDecompressedBytes) throw tooLarge('lz4', maxDecompressedBytes)
      blocks.push(block)
      if (header.isLinked) window = slideWindow(window, block)
      at = end + header.blockTrailerBytes
    }
    at += header.frameTrailerBytes
  }
  const [first] = blocks
  return first !== undefined && blocks.length === 1 ? first : Buffer.concat(blocks, total)
}

type FrameHeader = {
  readonly end: number
  readonly isLinked: boolean
  readonly maxBlockBytes: number
  /** 0 where the frame does not say. */
  readonly contentBytes: number
  readonly blockTrailerBytes: number
  readonly frameTrailerBytes: number
}

function readHeader(bytes: Buffer, start: number): FrameHeader {
  const flags = bytes[start + 4] ?? 0
  const blockSizeId = ((bytes[start + 5] ?? 0) >>> 4) & 7
  if (flags >>> 6 !== 1 || blockSizeId < 4) throw notDecodable('lz4', `the frame at byte ${start} has a version or block size nobody knows`)
  if ((flags & 1) !== 0) throw notDecodable('lz4', `the frame at byte ${start} needs a dictionary`)
  const hasContentSize = (flags & 8) !== 0
  const contentBytes = hasContentSize ? uint32(bytes, start + 6) + uint32(bytes, start + 10) * 2 ** 32 : 0
  return {
    end: start + 7 + (hasContentSize ? 8 : 0),
    isLinked: (flags & 0x20) === 0,
    maxBlockBytes: 1 << (8 + 2 * blockSizeId),
    contentBytes,
    blockTrailerBytes: (flags & 0x10) === 0 ? 0 : 4,
    frameTrailerBytes: (flags & 4) === 0 ? 0 : 4,
  }
}

// The native call wants the room to make in front of the block, so the block is copied once, compressed: a fraction of what is
// decompressed.
function unlz4Block(bytes: Buffer, start: number, end: number, maxBlockBytes: number, window: Buffer | undefined): Buffer {
  lz4 ??= loadNative<Lz4>('lz4-napi', 'a topic compressed with lz4')
  const length = end - start
  if (length > maxBlockBytes) throw notDecodable('lz4', `the block at byte ${start - 4} is larger than the frame allows`)
  if (scratch.length < length + 4) scratch = Buffer.allocUnsafeSlow(Math.max(WINDOW_BYTES + 4, length + 4))
  bytes.copy(scratch, 4, start, end)
  // A small batch in a block that may hold 4 MiB is decoded four times as fast with room for a usual ratio, and a rare one tried again.
  const boundBytes = Math.min(maxBlockBytes, length * MAX_EXPANSION)
  for (let roomBytes = Math.min(boundBytes, Math.max(WINDOW_BYTES, length * USUAL_EXPANSION)); ; roomBytes = boundBytes) {
    scratch.writeUInt32LE(roomBytes, 0)
    try {
      return lz4.uncompressSync(scratch.subarray(0, length + 4), window)
    } catch (error) {
      if (roomBytes === boundBytes) throw notDecodable('lz4', errorMessage(error), error)
    }
  }
}

// A linked block may refer to the 64 KiB before it.
function slideWindow(window: Buffer | undefined, block: Buffer): Buffer {
  if (window === undefined || block.length >= WINDOW_BYTES) return block.subarray(-WINDOW_BYTES)
  return Buffer.concat([window, block]).subarray(-WINDOW_BYTES)
}

function uint32(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw notDecodable('lz4', `the frame ends past its ${bytes.length} bytes`)
  return bytes.readUInt32LE(at)
}
