import { gzipSync, zstdCompressSync } from 'node:zlib'
import { loadNative } from '../../codecs/load-native.ts'

/** How record batches are compressed. The topic's own `compression.type` is `producer` by default, which keeps it. */
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

/** The number a codec has in a batch's attributes. */
export const CODEC_NUMBER = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const satisfies Record<Compression, number>

type Snappy = { compressSync(input: Uint8Array): Buffer }
type Lz4 = { compressFrameSync(input: Uint8Array): Buffer }

let snappy: Snappy | undefined
let lz4: Lz4 | undefined

/** Compresses a batch's records. Snappy goes as one raw block, as librdkafka and Go send it, which every client reads. */
export function compress(compression: Compression, bytes: Buffer): Buffer {
  switch (compression) {
    case 'none':
      return bytes
    case 'gzip':
      return gzipSync(bytes)
    case 'snappy':
      snappy ??= loadNative<Snappy>('snappy', "kafkaSink's compression 'snappy'")
      return snappy.compressSync(bytes)
    case 'lz4':
      lz4 ??= loadNative<Lz4>('lz4-napi', "kafkaSink's compression 'lz4'")
      return lz4.compressFrameSync(bytes)
    case 'zstd':
      return zstdCompressSync(bytes)
    default:
      return compression satisfies never
  }
}
