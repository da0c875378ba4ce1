/** Where the varint that was read last ended. A result object a number would cost more than all of the reading. */
export let varintEnd = 0

/** Where a varint that never ends is said to end: past everything, so the comparison its reader makes anyway fails. */
const NOWHERE = Number.MAX_SAFE_INTEGER

/**
 * Reads an unsigned varint of 32 bits at `at`, as an int32, and leaves its end in {@link varintEnd}. Bytes past the end of `bytes` read as
 * 0: the caller compares where it ended with where it may be.
 */
export function readUvarint(bytes: Buffer, at: number): number {
  let next = at
  let byte = bytes[next++] as number
  let value = byte & 0x7f
  for (let shift = 7; byte >= 0x80; shift += 7) {
    if (shift === 35) {
      varintEnd = NOWHERE
      return 0
    }
    byte = bytes[next++] as number
    value |= (byte & 0x7f) << shift
  }
  varintEnd = next
  return value
}

/** Reads a zig-zag varint of 32 bits like {@link readUvarint}. */
export function readVarint(bytes: Buffer, at: number): number {
  const value = readUvarint(bytes, at)
  return (value >>> 1) ^ -(value & 1)
}

/**
 * Reads a zig-zag varint of 64 bits like {@link readUvarint}, exact up to 2^53 and the nearest double beyond. It works on parts of 28 bits,
 * because a BigInt a record is slower than all of the rest.
 */
export function readVarlong(bytes: Buffer, at: number): number {
  let next = at
  let low = 0
  let middle = 0
  let high = 0
  let byte = 0x80
  for (let shift = 0; byte >= 0x80; shift += 7) {
    if (shift === 70) {
      varintEnd = NOWHERE
      return 0
    }
    byte = bytes[next++] as number
    const bits = byte & 0x7f
    if (shift < 28) low |= bits << shift
    else if (shift < 56) middle |= bits << (shift - 28)
    else high |= bits << (shift - 56)
  }
  varintEnd = next
  const half = (low >>> 1) + middle * 134_217_728 + (high & 0xff) * 36_028_797_018_963_968
  return (low & 1) === 0 ? half : -half - 1
}
