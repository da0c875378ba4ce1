import { DecodeError } from '../../../src/core/errors.ts'

/** The error of a batch that would decompress to more than it may: a bomb, or a producer with very large batches. */
export function tooLarge(codec: string, maxDecompressedBytes: number, cause?: unknown): DecodeError {
  return new DecodeError(
    `The ${codec} data decompresses to more than ${maxDecompressedBytes} bytes. Raise maxDecompressedBatchBytes if that is meant.`,
    { details: { codec, maxDecompressedBytes }, cause },
  )
}

/** The error of compressed bytes that break their format. */
export function notDecodable(codec: string, what: string, cause?: unknown): DecodeError {
  return new DecodeError(`The ${codec} data does not decompress: ${what}.`, { details: { codec }, cause })
}
