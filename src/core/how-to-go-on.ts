import type { DataLossCause } from './errors.ts'

const EFFECT: Readonly<Record<DataLossCause, string>> = {
  retention: 'the stream then reads from where the log begins',
  truncation: 'the stream then reads from where the log was cut',
  recreated: 'the stream then reads the new topic from its beginning',
  removed: 'the stream then forgets the partition',
}

/**
 * The last sentence of every message about lost records: the option that goes on without them, and what it does. With a `batchId` the batch is
 * begun, and going on finishes it.
 */
export function howToGoOn(cause: DataLossCause, batchId?: number): string {
  const batch =
    batchId === undefined ? '' : ` Batch ${batchId} is begun and not committed: the next start finishes it with what is left of its ranges.`
  return `To go on without, set onDataLoss: { ${cause}: 'skip' }: ${EFFECT[cause]}.${batch}`
}
