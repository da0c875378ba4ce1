import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'vitest'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import type { StreamSnapshot } from '../../src/core/offset-store.ts'
import { comparePartitions, type OffsetRange, partitionKey } from '../../src/core/values.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { readAll } from '../support/oracle.ts'

/** A row as the crash job writes it. */
export type Row = { readonly topic: string; readonly partition: number; readonly offset: number; readonly crc: number }

/** What the official Java client reads of these topics under read_committed, sorted as {@link rowsIn} sorts. */
export async function readByJava(topics: readonly string[]): Promise<Row[]> {
  const read: Row[] = []
  for (const topic of topics.toSorted()) {
    const records = await readAll(kafkaCluster(), topic, 'read_committed')
    read.push(...records.map(({ partition, offset, crc }) => ({ topic, partition, offset, crc })))
  }
  return read
}

/** Every row of every file, sorted by topic, partition and offset. */
async function rowsIn(folder: string): Promise<Row[]> {
  const rows: Row[] = []
  for (const { path } of await listJsonlFiles(join(folder, 'rows'))) {
    const lines = (await readFile(path, 'utf8')).split('\n').filter(Boolean)
    for (const line of lines) rows.push(JSON.parse(line))
  }
  return rows.sort((a, b) => comparePartitions(a, b) || a.offset - b.offset)
}

/** The stream as its store has it. */
export async function snapshotOf(folder: string): Promise<StreamSnapshot> {
  await using store = sqliteOffsets({ path: join(folder, 'offsets.db') })
  return await store.snapshot('crash')
}

/** Nothing lost, nothing doubled, and files and history tell the same story without a gap. */
export async function checkOutcome(folder: string, byJava: readonly Row[]): Promise<void> {
  expect(await rowsIn(folder)).toEqual(byJava)

  const { history, offsets, pending, lastBatchId } = await snapshotOf(folder)
  expect(pending).toBe(null)
  const starts = history.filter(entry => entry.kind === 'start').flatMap(entry => entry.offsets)
  expect(new Set(starts.map(partitionKey)).size, 'each partition has one starting point').toBe(starts.length)
  const batches = history.filter(entry => entry.kind === 'batch').map(entry => entry.batch)
  expect(batches.map(({ id }) => id)).toEqual(Array.from({ length: lastBatchId }, (_, index) => index + 1))
  const ranges = batches.flatMap(({ id, ranges }) => ranges.map(range => ({ ...place(range), batchId: id })))
  expect(tilesFrom(starts, ranges)).toEqual(new Map(offsets.map(at => [partitionKey(at), at.offset])))

  const files = await listJsonlFiles(join(folder, 'rows'))
  expect(files.map(({ batchId, ...file }) => ({ ...place(file), batchId }))).toEqual(ranges.toSorted(inLog))
}

/** Puts ranges end to end, each at the place where its partition has come to, and gives where the partitions end. */
function tilesFrom(starts: readonly { topic: string; partition: number; offset: number }[], ranges: readonly OffsetRange[]) {
  const ends = new Map(starts.map(at => [partitionKey(at), at.offset]))
  for (const range of ranges) {
    expect(range.fromOffset, `${partitionKey(range)} goes on where it ended`).toBe(ends.get(partitionKey(range)))
    expect(range.untilOffset).toBeGreaterThan(range.fromOffset)
    ends.set(partitionKey(range), range.untilOffset)
  }
  return ends
}

function place({ topic, partition, fromOffset, untilOffset }: OffsetRange): OffsetRange {
  return { topic, partition, fromOffset, untilOffset }
}

function inLog(a: OffsetRange, b: OffsetRange): number {
  return comparePartitions(a, b) || a.fromOffset - b.fromOffset
}
