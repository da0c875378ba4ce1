import { createHash } from 'node:crypto'
import type { Task } from '../../src/core/values.ts'

/**
 * Names some rows of a task for ever: `<12 hexadecimal digits of stream and output>-<batch>-<task>-<first row>-<last row>`, which no endpoint finds too long.
 * Batch ids are never used twice in a stream, and `streamId` tells a stream from another of its name, so no other rows ever get the key; an attempt under
 * another epoch, in another process, gives the same rows the same key.
 *
 * By rows, and not by the number of the request: with `maxRowsPerRequest` 500 the driver dies behind the second request; it is started again with 1000, and the
 * endpoint, which knows the second key, says yes to rows 1001 to 2000 and takes none of them.
 */
export function idempotencyKey(
  streamId: string,
  { stream, output, batchId, index }: Task,
  { firstRow, lastRow }: { readonly firstRow: number; readonly lastRow: number },
): string {
  const origin = createHash('sha256')
    .update(JSON.stringify([streamId, stream, output]))
    .digest('hex')
    .slice(0, 12)
  return `${origin}-${batchId}-${index}-${firstRow}-${lastRow}`
}
