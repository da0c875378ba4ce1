import { type BatchToEncode, encodeRecordBatch } from '../encode-record-batch.ts'

/** A batch in a scripted log. */
export type ScriptedBatch = { readonly baseOffset: number; readonly lastOffset: number; readonly bytes: Buffer }

/** A partition of a scripted cluster. Tests change it while it is read. */
export type ScriptedPartition = {
  leaderId: number
  leaderEpoch: number
  logStart: number
  highWatermark: number
  lastStableOffset: number
  batches: ScriptedBatch[]
  aborted: { producerId: number; firstOffset: number }[]
  /** Where epochs before the current one ended. */
  epochEnds: Map<number, number>
}

/** A topic of a scripted cluster; without an id it is one of a cluster from before there were ids. */
export type ScriptedTopic = { topicId: string | undefined; partitions: ScriptedPartition[] }

/** What a scripted partition begins with. `records` numbers are offsets; each batch holds `perBatch` of them with values of `valueBytes`. */
export type PartitionScript = Partial<Omit<ScriptedPartition, 'batches' | 'epochEnds'>> & {
  readonly records?: number
  readonly perBatch?: number
  readonly valueBytes?: number
  readonly batches?: readonly BatchToEncode[]
}

/** A topic id from a digit, in Kafka's text form. */
export function topicIdOf(digit: number): string {
  return Buffer.alloc(16, digit).toString('base64url')
}

export function scriptedPartition(script: PartitionScript = {}): ScriptedPartition {
  const { records = 0, perBatch = 10, valueBytes = 20, batches = evenBatches(records, perBatch, valueBytes), ...state } = script
  const encoded = batches.map(batch => {
    const bytes = encodeRecordBatch(batch)
    const baseOffset = Number(bytes.readBigInt64BE(0))
    return { baseOffset, lastOffset: baseOffset + bytes.readInt32BE(23), bytes }
  })
  const end = (encoded.at(-1)?.lastOffset ?? -1) + 1
  return {
    leaderId: 1,
    leaderEpoch: 0,
    logStart: 0,
    highWatermark: end,
    lastStableOffset: end,
    aborted: [],
    epochEnds: new Map(),
    ...state,
    batches: encoded,
  }
}

/** The value that {@link PartitionScript} gives the record at an offset. */
export function scriptedValue(offset: number, bytes = 20): Buffer {
  return Buffer.from(`value ${offset}`.padEnd(bytes))
}

function evenBatches(records: number, perBatch: number, valueBytes: number): BatchToEncode[] {
  return Array.from({ length: Math.ceil(records / perBatch) }, (_, batch) => ({
    records: Array.from({ length: Math.min(perBatch, records - batch * perBatch) }, (_, index) => {
      const offset = batch * perBatch + index
      return { offset, timestamp: 1_700_000_000_000 + offset, value: scriptedValue(offset, valueBytes) }
    }),
  }))
}
