/** How many bytes a zig-zag varint of a 32-bit integer takes. */
export function varintBytes(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5
}

/** How many bytes a zig-zag varint takes of an integer that a double holds: times apart by more than 24 days need more than 32 bits. */
export function varlongBytes(value: number): number {
  if (value === (value | 0)) return varintBytes(value)
  let left = value < 0 ? -value * 2 - 1 : value * 2
  let bytes = 1
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes += 1
  return bytes
}

/** Writes a zig-zag varint at `at` and gives where it ends. */
export function writeVarint(bytes: Uint8Array, value: number, at: number): number {
  let zigzag = ((value << 1) ^ (value >> 31)) >>> 0
  let end = at
  for (; zigzag >= 0x80; zigzag >>>= 7) bytes[end++] = (zigzag & 0x7f) | 0x80
  bytes[end++] = zigzag
  return end
}

/** Like {@link writeVarint} for an integer that a double holds. Beyond 2^52 the last bit may go, which only a time nobody lives in reaches. */
export function writeVarlong(bytes: Uint8Array, value: number, at: number): number {
  if (value === (value | 0)) return writeVarint(bytes, value, at)
  let left = value < 0 ? -value * 2 - 1 : value * 2
  let end = at
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes[end++] = (left % 0x80) | 0x80
  bytes[end++] = left
  return end
}
