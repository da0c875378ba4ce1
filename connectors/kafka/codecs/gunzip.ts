import { gunzipSync } from 'node:zlib'
import { errorMessage } from '../../../src/core/errors.ts'
import { notDecodable, tooLarge } from './limit.ts'

/** Deflate cannot expand more than this, so a trailer that claims more is not believed. */
const MAX_EXPANSION = 1032
const SLACK_BYTES = 64

/** Decompresses gzip, one member or several (RFC 1952). Throws `DecodeError` for broken data or more than `maxDecompressedBytes`. */
export function gunzip(bytes: Buffer, maxDecompressedBytes: number): Buffer {
  try {
    return gunzipSync(bytes, { chunkSize: expectedBytes(bytes, maxDecompressedBytes), maxOutputLength: maxDecompressedBytes })
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge('gzip', maxDecompressedBytes, error)
    throw notDecodable('gzip', errorMessage(error), error)
  }
}

// The last member's size stands at its end: with one chunk of that size zlib writes once and joins nothing.
function expectedBytes(bytes: Buffer, maxDecompressedBytes: number): number {
  const declared = bytes.length < 18 ? 0 : bytes.readUInt32LE(bytes.length - 4)
  return Math.min(declared, bytes.length * MAX_EXPANSION, maxDecompressedBytes) + SLACK_BYTES
}
