import { type FileHandle, open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { onDisk } from '../disk-error.ts'

const MAGIC = 0xfd2fb528
/** Magic, descriptor, window, dictionary and size of the content at their longest (RFC 8878, 3.1.1.1). */
const LONGEST_HEADER = 18
const BLOCK_HEADER = 3
const CHECKSUM_BYTES = 4
const RLE_BLOCK = 1

const unpack = promisify(zstdDecompress)

/**
 * The content of a file of several zstd frames, one after another. Node's own decompressor ends behind the first, without a word about the rest: rows of
 * all other pieces and batches would be missing. So each is found by its header and the sizes of its blocks, and given to it alone.
 */
export async function* zstdFrames(path: string): AsyncGenerator<Buffer> {
  const file = await onDisk('open', path, () => open(path, 'r'))
  try {
    const { size } = await file.stat()
    for (let at = 0; at < size; ) {
      const until = await frameEnd(file, at, path)
      yield await unpack(await readAt(file, at, until - at, path))
      at = until
    }
  } finally {
    await file.close()
  }
}

async function frameEnd(file: FileHandle, from: number, path: string): Promise<number> {
  const header = await readAt(file, from, LONGEST_HEADER, path, 'or less')
  if (header.length < 5 || header.readUInt32LE(0) !== MAGIC)
    throw new Error(`${path} has no zstd frame at byte ${from}: it was cut or replaced.`)
  const descriptor = header.readUInt8(4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  let at = from + 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes + sizeBytes
  for (let isLast = false; !isLast; ) {
    const block = (await readAt(file, at, BLOCK_HEADER, path)).readUIntLE(0, BLOCK_HEADER)
    isLast = (block & 1) === 1
    at += BLOCK_HEADER + (((block >> 1) & 3) === RLE_BLOCK ? 1 : block >> 3)
  }
  return at + ((descriptor & 4) !== 0 ? CHECKSUM_BYTES : 0)
}

async function readAt(file: FileHandle, at: number, length: number, path: string, need: 'all' | 'or less' = 'all'): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  const { bytesRead } = await onDisk('read', path, () => file.read(buffer, 0, length, at))
  if (bytesRead < length && need === 'all')
    throw new Error(`${path} ends at byte ${at + bytesRead}, in the middle of a zstd frame: it was cut.`)
  return buffer.subarray(0, bytesRead)
}
