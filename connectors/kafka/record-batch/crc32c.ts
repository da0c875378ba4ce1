import { loadNative } from '../codecs/load-native.ts'

type Crc32 = { crc32c(input: Uint8Array): number }

let native: Crc32 | undefined

/** CRC-32C (Castagnoli) of a view, without copying it: about 5 GB/s, by the processor's own instruction. */
export function crc32c(bytes: Uint8Array): number {
  native ??= loadNative<Crc32>('@node-rs/crc32', 'checking the checksum of record batches')
  return native.crc32c(bytes)
}
