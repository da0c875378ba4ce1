import { readFileSync } from 'node:fs'
import { comparePartitions, type PartitionOffset } from '../../../src/core/values.ts'

/** A table of cases taken from Spark's own suites, as `test/fixtures/cases/README.md` describes. */
export function readCases<Table>(name: string): Table {
  return JSON.parse(readFileSync(new URL(`../../fixtures/cases/${name}.json`, import.meta.url), 'utf8'))
}

/** Offsets by `topic-partition`, the way the tables write them. */
export type OffsetTable = Readonly<Record<string, number>>

/** The table's offsets as ours, sorted. */
export function toOffsets(table: OffsetTable): PartitionOffset[] {
  return Object.entries(table)
    .map(([name, offset]) => ({
      topic: name.slice(0, name.lastIndexOf('-')),
      partition: Number(name.slice(name.lastIndexOf('-') + 1)),
      offset,
    }))
    .sort(comparePartitions)
}
