import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import { gzip, zstdCompress } from 'node:zlib'
import type { CompressionCodec } from 'hyparquet'

/** How the pages of a Parquet file are compressed. */
export type ParquetCompression = 'none' | 'snappy' | 'gzip' | 'zstd'

/** What the footer calls it. */
export const CODECS: Readonly<Record<ParquetCompression, CompressionCodec>> = {
  none: 'UNCOMPRESSED',
  snappy: 'SNAPPY',
  gzip: 'GZIP',
  zstd: 'ZSTD',
}

type Snappy = { compress(input: Uint8Array): Promise<Buffer> }

const gzipBytes = promisify(gzip)
const zstdBytes = promisify(zstdCompress)
let snappy: Snappy | undefined

/** Compresses one page, off the thread that makes the next. */
export async function compressPage(page: Uint8Array, compression: ParquetCompression): Promise<Uint8Array> {
  switch (compression) {
    case 'none':
      return page
    case 'snappy':
      // On first use: whoever compresses otherwise needs no native part.
      snappy ??= createRequire(import.meta.url)('snappy') as Snappy
      return snappy.compress(page)
    case 'gzip':
      return gzipBytes(page)
    case 'zstd':
      return zstdBytes(page)
    default:
      return compression satisfies never
  }
}
