import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/** Shorter texts stay as they are, so that a person with ZooKeeper's own shell can read a small stream. */
const PLAIN_UP_TO = 512

const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** JSON as a node holds it: compressed by zstd where that pays, for the whole tree is in the servers' memory and a request has at most 1 MB. */
export function pack(json: string): Buffer {
  const plain = Buffer.from(json)
  return plain.length <= PLAIN_UP_TO ? plain : zstdCompressSync(plain, FAST)
}

/** The JSON that {@link pack} was given. A frame of zstd begins with 0x28, which no array or object of JSON does. */
export function unpack(data: Buffer): string {
  return (data[0] === 0x28 ? zstdDecompressSync(data) : data).toString()
}
