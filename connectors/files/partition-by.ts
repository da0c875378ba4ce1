import { parseIsoInstant } from '../../src/util/parse-iso-time.ts'
import { type HiveLevel, hivePath } from './hive-path.ts'
import { asObject, WrongValue } from './row-refused.ts'

/** A level by an instant of the row, in UTC, as text: `yyyy-MM-dd` gives `2026-11-20`. */
export type TimeLevel<Row> = {
  /** A field, or a function of the row: a Date, milliseconds since 1970, or an ISO text with its zone. Rows that are records have `timestamp`. */
  readonly time: (keyof Row & string) | ((row: Row) => Date | number | string | null | undefined)
  /** Of `yyyy`, `MM`, `dd`, `HH` and `mm`, and what stands between them. @default 'yyyy-MM-dd' */
  readonly pattern?: string
}

/** What a level of folders is named after: a field, a function of the row, or its time. */
export type PartitionLevel<Row> =
  | (keyof Row & string)
  | ((row: Row) => string | number | bigint | boolean | Date | null | undefined)
  | TimeLevel<Row>

/** Into which folder a row goes. */
export type Partitioner = {
  /** The row's folder. @throws WrongValue */
  readonly pathOf: (row: unknown) => string
  readonly levelsOf: (row: unknown) => HiveLevel[]
}

type LevelOf = (row: unknown) => string | null

const INSTANT = 'a Date, an ISO text with its zone, or milliseconds since 1970 to name a folder by'

/** Compiles the declared levels, in their order. */
export function compilePartitions<Row>(levels: Readonly<Record<string, PartitionLevel<Row>>>): Partitioner {
  const compiled = Object.entries(levels).map(([key, level]) => ({ key, of: compileLevel(level) }))
  const levelsOf = (row: unknown) => compiled.map(({ key, of }) => ({ key, value: of(row) }))
  return { levelsOf, pathOf: row => hivePath(levelsOf(row)) }
}

function compileLevel<Row>(level: PartitionLevel<Row>): LevelOf {
  if (typeof level !== 'object') {
    const read = reader(level)
    return row => toText(read(row))
  }
  const { time, pattern = 'yyyy-MM-dd' } = level
  const read = reader(time)
  const format = compilePattern(pattern)
  return row => {
    const value = read(row)
    return value === null || value === undefined ? null : format(toInstant(value))
  }
}

function reader<Row>(from: string | ((row: Row) => unknown)): (row: unknown) => unknown {
  return typeof from === 'function' ? row => from(row as Row) : row => asObject(row)[from]
}

function toText(value: unknown): string | null {
  switch (typeof value) {
    case 'undefined':
      return null
    case 'string':
      // Half a surrogate pair is nothing that a file system, or the manifest's JSON, gives back as it was.
      return value.toWellFormed()
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      if (value === null) return null
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString()
      break
  }
  throw new WrongValue('text, a number, a boolean or a Date to name a folder by')
}

function toInstant(value: unknown): number {
  const ms = value instanceof Date ? value.getTime() : typeof value === 'string' ? instantOf(value) : value
  if (typeof ms !== 'number' || !(Math.abs(ms) <= 8.64e15)) throw new WrongValue(INSTANT)
  return ms
}

function instantOf(text: string): number | undefined {
  const instant = parseIsoInstant(text)
  return instant?.hasZone ? instant.ms : undefined
}

/** Rows of one unit of time come together, and the name of the last is most often that of the next. */
function compilePattern(pattern: string): (ms: number) => string {
  const unit = pattern.includes('mm') ? 60_000 : 3_600_000
  let last = Number.NaN
  let text = ''
  return ms => {
    const at = Math.floor(ms / unit)
    if (at !== last) {
      last = at
      text = formatInstant(new Date(ms), pattern)
    }
    return text
  }
}

function formatInstant(date: Date, pattern: string): string {
  const two = (value: number) => String(value).padStart(2, '0')
  return pattern
    .replace('yyyy', String(date.getUTCFullYear()).padStart(4, '0'))
    .replace('MM', two(date.getUTCMonth() + 1))
    .replace('dd', two(date.getUTCDate()))
    .replace('HH', two(date.getUTCHours()))
    .replace('mm', two(date.getUTCMinutes()))
}
