import { DecodeError } from '../../../src/core/errors.ts'
import { gunzip } from './gunzip.ts'
import { unlz4 } from './unlz4.ts'
import { unsnappy } from './unsnappy.ts'
import { unzstd } from './unzstd.ts'

/** The most that one batch may decompress to unless the source says otherwise: 256 MiB. */
export const MAX_DECOMPRESSED_BATCH_BYTES = 256 * 1024 * 1024

/**
 * Decompresses the records of a batch by the codec number of its attributes (1 gzip, 2 snappy, 3 lz4, 4 zstd).
 * The result may be a view of `bytes` where the format stored them as they are.
 *
 * Throws `DecodeError` for broken data, an unknown codec, or more than `maxDecompressedBytes`; `UnsupportedError` where the codec's native
 * package does not load.
 */
export function decompress(codec: number, bytes: Buffer, maxDecompressedBytes: number = MAX_DECOMPRESSED_BATCH_BYTES): Buffer {
  switch (codec) {
    case 1:
      return gunzip(bytes, maxDecompressedBytes)
    case 2:
      return unsnappy(bytes, maxDecompressedBytes)
    case 3:
      return unlz4(bytes, maxDecompressedBytes)
    case 4:
      return unzstd(bytes, maxDecompressedBytes)
    default:
      throw new DecodeError(`The codec has the number ${codec}, and Kafka knows 1 (gzip), 2 (snappy), 3 (lz4) and 4 (zstd).`, {
        details: { codec },
      })
  }
}
