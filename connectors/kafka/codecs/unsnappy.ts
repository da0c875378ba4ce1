import { errorMessage } from '../../../src/core/errors.ts'
import { notDecodable, tooLarge } from './limit.ts'
import { loadNative } from './load-native.ts'

type Snappy = { uncompressSync(input: Uint8Array, options: { asBuffer: true; copyOutputData: boolean }): Buffer }

/** What snappy-java's stream begins with: a magic of 8 bytes, then two version numbers of 4 bytes each. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16
/** Three bytes copy at most 64, so a block that declares more lies, and is not worth the memory it asks for. */
const MAX_EXPANSION = 22
// A copied result is five times as fast as one that wraps native memory, whose release weighs on the garbage collector.
const OPTIONS = { asBuffer: true, copyOutputData: true } as const

let snappy: Snappy | undefined

/**
 * Decompresses snappy as Kafka's producers write it: framed in blocks by Java (xerial), one raw block by librdkafka and Go.
 * Throws `DecodeError` for broken data or more than `maxDecompressedBytes`, before anything of that size is allocated.
 */
export function unsnappy(bytes: Buffer, maxDecompressedBytes: number): Buffer {
  if (bytes.length >= XERIAL_HEADER_BYTES && bytes.compare(XERIAL_MAGIC, 0, 8, 0, 8) === 0)
    return unsnappyBlocks(bytes, maxDecompressedBytes)
  const size = declaredBytes(bytes)
  if (size > maxDecompressedBytes) throw tooLarge('snappy', maxDecompressedBytes)
  return unsnappyBlock(bytes, size)
}

function unsnappyBlocks(bytes: Buffer, maxDecompressedBytes: number): Buffer {
  const blocks: Buffer[] = []
  let total = 0
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    // snappy-java streams may be joined end to end: the next one's header stands where a block's length would be.
    if (bytes.length - at >= XERIAL_HEADER_BYTES && bytes.compare(XERIAL_MAGIC, 0, 8, at, at + 8) === 0) {
      at += XERIAL_HEADER_BYTES
      continue
    }
    const length = at + 4 <= bytes.length ? bytes.readInt32BE(at) : -1
    const end = at + 4 + length
    if (length < 0 || end > bytes.length) throw notDecodable('snappy', `the block at byte ${at} ends past its ${bytes.length} bytes`)
    const block = bytes.subarray(at + 4, end)
    const size = declaredBytes(block)
    total += size
    if (total > maxDecompressedBytes) throw tooLarge('snappy', maxDecompressedBytes)
    blocks.push(unsnappyBlock(block, size))
    at = end
  }
  const [first] = blocks
  return first !== undefined && blocks.length === 1 ? first : Buffer.concat(blocks, total)
}

function unsnappyBlock(block: Buffer, size: number): Buffer {
  snappy ??= loadNative<Snappy>('snappy', 'a topic compressed with snappy')
  let decoded: Buffer
  try {
    decoded = snappy.uncompressSync(block, OPTIONS)
  } catch (error) {
    throw notDecodable('snappy', errorMessage(error), error)
  }
  if (decoded.length !== size) throw notDecodable('snappy', `it declares ${size} bytes and holds ${decoded.length}`)
  return decoded
}

// A block begins with its decompressed size, an unsigned varint of at most 32 bits.
function declaredBytes(block: Buffer): number {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte >= 0x80) continue
    if (size > block.length * MAX_EXPANSION) throw notDecodable('snappy', `${block.length} bytes cannot hold the ${size} they declare`)
    return size
  }
  throw notDecodable('snappy', 'it does not begin with its size')
}
