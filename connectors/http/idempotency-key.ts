import { createHash } from 'node:crypto'
import type { Task } from '../../src/core/values.ts'

/**
 * Names the `chunk`-th request of a task for ever: `<16 hexadecimal digits of stream and output>-<batch>-<task>-<chunk>`, at most 45 characters, which every
 * endpoint takes. Batch ids are never used twice in a stream, and `streamId` tells a stream from another of its name, so no other rows ever get the key; an
 * attempt under another epoch, in another process, gives the same rows the same key.
 */
export function idempotencyKey(streamId: string, { stream, output, batchId, index }: Task, chunk: number): string {
  const origin = createHash('sha256')
    .update(JSON.stringify([streamId, stream, output]))
    .digest('hex')
    .slice(0, 16)
  return `${origin}-${batchId}-${index}-${chunk}`
}
