import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressFrameSync, compressSync as lz4BlockSync } from 'lz4-napi'
import { compressSync as snappySync } from 'snappy'
import { describe, expect, test } from 'vitest'
import { decompress } from '../../../../connectors/kafka/codecs/decompress.ts'
import { loadNative } from '../../../../connectors/kafka/codecs/load-native.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'
import { compressXerial } from '../../../support/encode-record-batch.ts'

const GZIP = 1
const SNAPPY = 2
const LZ4 = 3
const ZSTD = 4

const text = Buffer.from(Array.from({ length: 20_000 }, (_, i) => `{"id":${i},"city":"Lisbon"}`).join(','))
const noise = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (Math.imul(i, 2_654_435_761) >>> 13) & 255))

type FrameOptions = { linked?: boolean; blockSizeId?: number; contentSize?: number; blockChecksums?: boolean; contentChecksum?: boolean }

/** An LZ4 frame around blocks that are given as they are; a high bit in the length says that a block is stored uncompressed. */
function lz4Frame(blocks: readonly { bytes: Buffer; stored?: boolean }[], options: FrameOptions = {}): Buffer {
  const flags =
    0x40 |
    (options.linked ? 0 : 0x20) |
    (options.blockChecksums ? 0x10 : 0) |
    (options.contentSize === undefined ? 0 : 8) |
    (options.contentChecksum ? 4 : 0)
  const header = Buffer.alloc(6 + (options.contentSize === undefined ? 0 : 8) + 1)
  header.writeUInt32LE(0x184d2204, 0)
  header.writeUInt8(flags, 4)
  header.writeUInt8((options.blockSizeId ?? 4) << 4, 5)
  if (options.contentSize !== undefined) header.writeBigUInt64LE(BigInt(options.contentSize), 6)
  const parts: Buffer[] = [header]
  for (const { bytes, stored = false } of blocks) {
    const length = Buffer.alloc(4)
    length.writeUInt32LE((bytes.length | (stored ? 0x80000000 : 0)) >>> 0)
    parts.push(length, bytes)
    if (options.blockChecksums) parts.push(Buffer.from('deadbeef', 'hex'))
  }
  parts.push(Buffer.alloc(4))
  if (options.contentChecksum) parts.push(Buffer.from('deadbeef', 'hex'))
  return Buffer.concat(parts)
}

const lz4Block = (plain: Buffer) => ({ bytes: lz4BlockSync(plain).subarray(4) })
const slices = (plain: Buffer, size: number) =>
  Array.from({ length: Math.ceil(plain.length / size) }, (_, i) => plain.subarray(i * size, (i + 1) * size))

function errorOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe.each([
  ['gzip', GZIP, gzipSync],
  ['snappy', SNAPPY, snappySync],
  ['snappy in blocks', SNAPPY, compressXerial],
  ['lz4', LZ4, compressFrameSync],
  ['zstd', ZSTD, zstdCompressSync],
] as const)('%s', (_, codec, compress: (plain: Buffer) => Buffer) => {
  test.each([Buffer.from('x'), text, noise, Buffer.alloc(1_000_000)])('gives back what was compressed', plain => {
    expect(decompress(codec, compress(plain)).equals(plain)).toBe(true)
  })

  test('stops at the cap, and takes exactly the cap', () => {
    const compressed = compress(text)
    expect(decompress(codec, compressed, text.length).equals(text)).toBe(true)
    const error = errorOf(() => decompress(codec, compressed, text.length - 1))
    expect(isTidemarkError(error, 'DECODE')).toBe(true)
    expect(String(error)).toContain(`more than ${text.length - 1} bytes`)
  })

  test('is an error where it breaks off', () => {
    const compressed = compress(noise.subarray(0, 1000))
    for (let length = 1; length < compressed.length; length++) {
      let decoded: Buffer | undefined
      try {
        decoded = decompress(codec, compressed.subarray(0, length))
      } catch (error) {
        expect(isTidemarkError(error, 'DECODE'), String(error)).toBe(true)
      }
      // Between two frames or blocks nothing tells that one is missing; the batch's count of records does.
      if (decoded !== undefined) expect(noise.subarray(0, 1000).indexOf(decoded)).toBe(0)
    }
  })
})

describe('gzip and zstd', () => {
  test.each([
    ['gzip', GZIP, gzipSync],
    ['zstd', ZSTD, zstdCompressSync],
  ] as const)('%s of several members decompresses to all of them', (_, codec, compress: (plain: Buffer) => Buffer) => {
    const parts = [text, Buffer.from('middle'), noise]
    expect(decompress(codec, Buffer.concat(parts.map(compress))).equals(Buffer.concat(parts))).toBe(true)
  })

  test('a zstd skippable frame is skipped, and anything else between frames is an error', () => {
    const skippable = Buffer.concat([Buffer.from('5a2a4d1803000000', 'hex'), Buffer.from('abc')])
    expect(decompress(ZSTD, Buffer.concat([zstdCompressSync(text), skippable, zstdCompressSync(noise)])).length).toBe(
      text.length + noise.length,
    )
    expect(() => decompress(ZSTD, Buffer.concat([zstdCompressSync(text), Buffer.from('abcd')]))).toThrow('no frame')
  })
})

describe('snappy', () => {
  test('streams of many blocks, joined end to end, decompress to all of them', () => {
    const joined = Buffer.concat([compressXerial(text, 1000), compressXerial(noise, 32_768)])
    expect(decompress(SNAPPY, joined).equals(Buffer.concat([text, noise]))).toBe(true)
  })

  test('a block that declares more than snappy can hold is refused before memory is taken for it', () => {
    const bomb = Buffer.concat([Buffer.from('80808080', 'hex'), Buffer.from('01', 'hex'), Buffer.alloc(100)])
    expect(() => decompress(SNAPPY, bomb, 2 ** 40)).toThrow('cannot hold the 268435456 they declare')
  })
})

describe('lz4', () => {
  test('blocks of 64 KiB without a content size, as the Java client writes them, are joined', () => {
    const frame = lz4Frame(slices(text, 65_536).map(lz4Block))
    expect(decompress(LZ4, frame).equals(text)).toBe(true)
  })

  test('blocks that refer to those before them are decompressed with what they refer to', () => {
    // No literals, then a match of 19 bytes at the distance given: all of it lies in earlier blocks.
    const reference = (distance: number) => ({ bytes: Buffer.from([0x0f, distance & 255, distance >> 8, 0, 0x50, 1, 2, 3, 4, 5]) })
    const first = noise.subarray(0, 60_000)
    const second = noise.subarray(60_000, 70_000)
    const frame = lz4Frame([{ bytes: first, stored: true }, { bytes: second, stored: true }, reference(65_535), reference(24)], {
      linked: true,
    })
    const before = Buffer.concat([first, second])
    const third = Buffer.concat([before.subarray(70_000 - 65_535, 70_000 - 65_535 + 19), Buffer.from([1, 2, 3, 4, 5])])
    const fourth = Buffer.concat([third.subarray(0, 19), Buffer.from([1, 2, 3, 4, 5])])
    expect(decompress(LZ4, frame).equals(Buffer.concat([before, third, fourth]))).toBe(true)
    expect(() => decompress(LZ4, lz4Frame([{ bytes: first, stored: true }, reference(100)]))).toThrow('does not decompress')
  })

  test('stored blocks, checksums, content sizes, larger blocks, skippable and second frames are all read', () => {
    const checked = { blockChecksums: true, contentChecksum: true, contentSize: noise.length, blockSizeId: 6 } as const
    const frames = Buffer.concat([
      lz4Frame([{ bytes: noise, stored: true }], checked),
      Buffer.from('502a4d180200000000ff', 'hex'),
      lz4Frame([lz4Block(text)], { blockSizeId: 7 }),
      lz4Frame([]),
    ])
    expect(decompress(LZ4, frames).equals(Buffer.concat([noise, text]))).toBe(true)
  })

  test('a content size beyond the cap is refused before anything is decompressed', () => {
    expect(() => decompress(LZ4, lz4Frame([], { contentSize: 2 ** 40 }))).toThrow('more than 268435456 bytes')
  })

  test('a block larger than its frame allows is an error', () => {
    expect(() => decompress(LZ4, lz4Frame([lz4Block(Buffer.alloc(100_000))], { blockSizeId: 4 }))).toThrow('does not decompress')
  })
})

test('a codec that Kafka does not know is refused by its number', () => {
  expect(() => decompress(6, text)).toThrow('the number 6')
})

test('a native package that does not load is named, with what needs it', () => {
  const error = errorOf(() => loadNative('no-such-package', 'a topic compressed with nothing'))
  expect(isTidemarkError(error, 'UNSUPPORTED')).toBe(true)
  expect(String(error)).toContain('no-such-package, which a topic compressed with nothing needs')
})
