import { promisify } from 'node:util'
import { constants, gzip, zstdCompress } from 'node:zlib'

/** How whole files of text are compressed. */
export type TextCompression = 'none' | 'gzip' | 'zstd'

const gzipBytes = promisify(gzip)
const zstdBytes = promisify(zstdCompress)

/** What a compressed file's name ends with. */
export const COMPRESSED_EXTENSION: Readonly<Record<TextCompression, string>> = { none: '', gzip: '.gz', zstd: '.zst' }

/**
 * One piece of a file of its own: a gzip member, a zstd frame. Readers take several for one file, so pieces and whole files are joined by putting their
 * bytes behind each other.
 */
export async function compressText(bytes: Buffer, compression: TextCompression): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipBytes(bytes)
    case 'zstd':
      return zstdBytes(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    default:
      return compression satisfies never
  }
}
