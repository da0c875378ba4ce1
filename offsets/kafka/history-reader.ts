import type { HistoryEntry } from '../../src/core/offset-store.ts'
import { fetchRequest } from './fetch-request.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import type { KafkajsCluster } from './kafkajs-cluster.ts'
import type { LogRecord } from './record-batch.ts'
import { decodeKey, decodeValue, type EntryValue, keyPrefix } from './stream-records.ts'
import type { PlacedEntry } from './stream-view.ts'

/** What is read at a time; as objects it is ten times as much. */
const PAGE_BYTES = 1 << 20
/** Offsets that are read over for one page; entries that are kept for ever may lie far in front of the others. */
const PAGE_OFFSETS = 4_096

/** Cuts a list of entries, in order either way, into pieces that lie close together in the log. */
export function* pagesOf(entries: readonly PlacedEntry[]): Generator<readonly PlacedEntry[]> {
  let page: PlacedEntry[] = []
  let bytes = 0
  for (const entry of entries) {
    const [first] = page
    const isFar = first !== undefined && Math.abs(entry.firstOffset - first.firstOffset) > PAGE_OFFSETS
    if (isFar || bytes > PAGE_BYTES) {
      yield page
      page = []
      bytes = 0
    }
    page.push(entry)
    bytes += entry.bytes
  }
  if (page.length > 0) yield page
}

/** The entries of a page, in its order. One that was trimmed meanwhile is left out. */
export async function readEntries(
  connection: KafkaConnection,
  cluster: KafkajsCluster,
  { stream, partition }: { readonly stream: string; readonly partition: number },
  page: readonly PlacedEntry[],
): Promise<HistoryEntry[]> {
  const prefix = keyPrefix(stream)
  const until = Math.max(...page.map(({ lastOffset }) => lastOffset))
  const found = new Map<number, LogRecord>()
  for (let position = Math.min(...page.map(({ firstOffset }) => firstOffset)); position <= until; ) {
    const fetched = await connection.ask(cluster, partition, fetchRequest(connection.topic, partition, position, PAGE_BYTES))
    if (fetched === 'out-of-range' || fetched.batches.length === 0) break
    for (const { records, lastOffset } of fetched.batches) {
      for (const record of records) if (record.key.subarray(0, prefix.length).equals(prefix)) found.set(record.offset, record)
      position = Math.max(position, lastOffset + 1)
    }
  }
  return page.flatMap(entry => assemble(entry, found, stream) ?? [])
}

function assemble(
  { seq, kind, firstOffset, lastOffset }: PlacedEntry,
  found: ReadonlyMap<number, LogRecord>,
  stream: string,
): HistoryEntry | undefined {
  const first = found.get(firstOffset)
  if (first === undefined) return undefined
  const pieces: (Buffer | undefined)[] = new Array(first.parts).fill(undefined)
  for (let offset = firstOffset; offset <= lastOffset; offset++) {
    const record = found.get(offset)
    const key = record && decodeKey(record.key)
    if (record !== undefined && key?.[1] === 'entry' && key[3] === seq) pieces[key[5]] = record.value ?? undefined
  }
  const { at = first.appendedAtMs, ...value } = decodeValue<EntryValue>(pieces, `Entry ${seq} of the history of ${stream}`)
  return { seq, kind, at, ...value } as HistoryEntry
}
