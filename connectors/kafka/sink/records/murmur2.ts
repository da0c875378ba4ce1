const SEED = 0x9747b28c
const M = 0x5bd1e995
const R = 24

/**
 * The hash by which Java's producer chooses a key's partition (`Utils.murmur2`): `(murmur2(key) & 0x7fffffff) % partitions`. Keys written here lie
 * where a Java producer of the same topic puts them. Of `bytes` it hashes the first `length`.
 */
export function murmur2(bytes: Uint8Array, length = bytes.length): number {
  let hash = SEED ^ length
  const end = length & ~3
  for (let at = 0; at < end; at += 4) {
    const word =
      (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)
    let k = Math.imul(word, M)
    k ^= k >>> R
    hash = Math.imul(hash, M) ^ Math.imul(k, M)
  }
  const left = length - end
  if (left === 3) hash ^= (bytes[end + 2] as number) << 16
  if (left >= 2) hash ^= (bytes[end + 1] as number) << 8
  if (left >= 1) hash = Math.imul(hash ^ (bytes[end] as number), M)
  hash ^= hash >>> 13
  hash = Math.imul(hash, M)
  return hash ^ (hash >>> 15)
}
