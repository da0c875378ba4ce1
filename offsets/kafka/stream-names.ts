import { createHash } from 'node:crypto'

/**
 * Streams are spread over so many partitions, by their names. It never changes: a stream's records would be looked for in another partition, and it
 * would begin anew. A topic may have more; they stay empty.
 */
export const PARTITIONS = 8

/** The partition of a stream, for ever. */
export function partitionOf(stream: string): number {
  return hash(stream).readUInt32BE(0) % PARTITIONS
}

/** The transactional id of a stream of a topic. Readable as far as it goes, told apart by the hash; rights are granted by the prefix. */
export function transactionalIdOf(topic: string, stream: string): string {
  const readable = stream.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 100)
  return `tidemark-offsets-${topic}-${readable}-${hash(stream).toString('hex', 0, 8)}`
}

function hash(stream: string): Buffer {
  return createHash('sha256').update(stream).digest()
}
