import type { HistoryEntry } from '../../src/core/offset-store.ts'
import { writeJson } from '../../src/core/store-values.ts'
import { type Batch, type PartitionOffset, partitionKey, type TopicPartition } from '../../src/core/values.ts'
import { type StoredHead, writeHead } from './stored-head.ts'
import { writeEntries, writeOffsets } from './stored-values.ts'

/** One piece of a write, as the script's arguments: a name, and what it takes. */
export type Step = readonly string[]

/** Lets the lease begin now, by the server's clock: the head that was decided on may have been read a while ago. */
export const renewLease: Step = ['renew']
/** The begun batch goes. */
export const settleBatch: Step = ['settle']
/** Everything goes. */
export const dropStream: Step = ['drop']

export function putHead(head: StoredHead): Step {
  return list('head', writeHead(head))
}

export function putOffsets(positions: readonly PartitionOffset[]): Step {
  return list('offsets', writeOffsets(positions))
}

export function forgetOffsets(partitions: readonly TopicPartition[]): Step {
  return list('forget', partitions.map(partitionKey))
}

export function keepBegun(batch: Batch): Step {
  return ['begin', writeJson(batch)]
}

/** The begun batch becomes an entry as the text it is, for the server has it already, and with the server's time. */
export function moveBegunToHistory({ seq, epoch }: Pick<HistoryEntry, 'seq' | 'epoch'>): Step {
  return ['keep', String(seq), `{"seq":${seq},"at":`, `,"epoch":${epoch},"kind":"batch","batch":`]
}

export function putEntries(entries: readonly HistoryEntry[]): Step[] {
  const { history, marks } = writeEntries(entries)
  return [list('history', history), list('marks', marks)]
}

/** Entries that are not kept for ever go below `seq`; none where it is undefined. */
export function trimHistory(seq: number | undefined): Step {
  return seq === undefined ? [] : ['trim', String(seq)]
}

/** What was staged under these names takes its place, if all of it is there. It comes before any other step. */
export function adoptStaged({ history, marks }: { readonly history: number; readonly marks: number }): Step {
  return ['adopt', String(history), String(marks)]
}

function list(name: string, values: readonly string[]): Step {
  return values.length === 0 ? [] : [name, JSON.stringify(values)]
}
