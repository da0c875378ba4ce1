// Gives kafkajs the codecs it lacks, so that tests can write every kind of batch with it. Its snappy blocks are raw, as those of
// librdkafka and Go clients; the Java producer (`produce.ts`) writes the framed ones.

import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import kafkajs from 'kafkajs'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compress, uncompress } from 'snappy'

const { CompressionCodecs, CompressionTypes } = kafkajs

type EncodedRecords = { readonly buffer: Buffer }

CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: (records: EncodedRecords) => compress(records.buffer),
  decompress: (bytes: Buffer) => uncompress(bytes),
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (records: EncodedRecords) => compressFrameSync(records.buffer),
  decompress: async (bytes: Buffer) => decompressFrameSync(bytes),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (records: EncodedRecords) => zstdCompressSync(records.buffer),
  decompress: async (bytes: Buffer) => zstdDecompressSync(bytes),
})
