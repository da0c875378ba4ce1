import { z } from 'zod'
import type { TextCompression } from './formats/compress.ts'
import { PARQUET_TYPES, type ParquetColumn } from './parquet/columns.ts'
import type { ParquetCompression } from './parquet/compress-page.ts'
import type { PartitionLevel } from './partition-by.ts'

/** What every output of files takes. */
export type FilesOptions<Row> = {
  /** Where the files go; made if it is not there. One output of one stream has it for itself. */
  readonly directory: string | undefined
  /** Folders by what is in a row, in this order, such as `dt=2026-11-20/country=DE`: a field, a function of the row, or its time. @default one folder a topic and partition */
  readonly partitionBy?: Readonly<Record<string, PartitionLevel<Row>>>
  /** So many folders a task may write into; one more is an error. @default 1000 */
  readonly maxOpenPartitions?: number
  /** Parts of several batches are put together into files of about so many bytes. @default a file a range, or a folder and batch; 128 MiB where `rollMs` is given */
  readonly rollBytes?: number
  /** Parts are put together once the oldest of a folder is so old, ms of batch time. @default 600_000 where `rollBytes` is given */
  readonly rollMs?: number
  /** How long parts that were put together stay for readers that have them in a list, ms. Across restarts too. @default 60_000 */
  readonly keepReplacedMs?: number
}

/** What `jsonlSink` takes. */
export type JsonlSinkOptions<Row = unknown> = FilesOptions<Row> & {
  /** Of whole files: `gzip` (`.jsonl.gz`) or `zstd` (`.jsonl.zst`). @default 'none' */
  readonly compression?: TextCompression
}

/** What `csvSink` takes. */
export type CsvSinkOptions<Row> = FilesOptions<Row> & {
  /** What is written, in this order; a missing value is an empty field. */
  readonly columns: readonly (keyof NoInfer<Row> & string)[]
  /** Whether a file begins with the names of the columns. @default true */
  readonly header?: boolean
  /** Between the fields, one character. @default ',' */
  readonly delimiter?: string
  /** Of whole files: `gzip` (`.csv.gz`) or `zstd` (`.csv.zst`). @default 'none' */
  readonly compression?: TextCompression
}

/** What `parquetSink` takes. */
export type ParquetSinkOptions<Row> = FilesOptions<Row> & {
  /** Name and type of each column: `{ id: 'string', total: { type: 'double', nullable: false } }`. */
  readonly columns: { readonly [Name in keyof NoInfer<Row> & string]?: ParquetColumn }
  /** Of each page: `snappy`, `gzip`, `zstd` or `none`. @default 'snappy' */
  readonly compression?: ParquetCompression
  /** How many bytes of rows a task holds, of all its folders together, before it writes those of the largest as a row group. In memory up to twice as many. @default 32 MiB */
  readonly rowGroupBytes?: number
}

const MIB = 1 << 20
const DEFAULT_ROLL_BYTES = 128 * MIB
const DEFAULT_ROLL_MS = 600_000

const name = z.string().min(1)
const isFunction = (value: unknown) => typeof value === 'function'
const rowFunction = z.custom<(row: never) => never>(isFunction, { error: 'expected a field, a function of the row, or { time, pattern }' })
const timeFunction = z.custom<(row: never) => never>(isFunction, { error: 'expected a field or a function of the row' })
const pattern = z
  .string()
  .regex(/yyyy|MM|dd|HH|mm/, { error: 'expected a pattern of yyyy, MM, dd, HH and mm, such as yyyy-MM-dd' })
  .default('yyyy-MM-dd')
const level = z.union([name, rowFunction, z.strictObject({ time: z.union([name, timeFunction]), pattern })], {
  error: 'expected a field, a function of the row, or { time, pattern }',
})

const files = {
  directory: name.describe('the path of the folder to write to, such as "out/orders"'),
  partitionBy: z
    .record(name, level)
    .refine(levels => Object.keys(levels).length > 0, { error: 'expected one folder at least, such as { country: "country" }' })
    .optional(),
  maxOpenPartitions: z.int().min(1).default(1000),
  rollBytes: z.number().min(1).optional(),
  rollMs: z.number().min(1).optional(),
  keepReplacedMs: z.number().min(0).default(60_000),
}

const textCompression = z.enum(['none', 'gzip', 'zstd']).default('none')
const column = z.union(
  [
    z.enum(PARQUET_TYPES),
    z.strictObject({ type: z.enum(PARQUET_TYPES), nullable: z.boolean().optional() }),
    z
      .strictObject({
        type: z.literal('decimal'),
        precision: z.int().min(1).max(38),
        scale: z.int().min(0),
        nullable: z.boolean().optional(),
      })
      .refine(({ precision, scale }) => scale <= precision, { error: 'the scale of a decimal is at most its precision' }),
  ],
  {
    error: `expected a type (${PARQUET_TYPES.join(', ')}), { type, nullable }, or { type: 'decimal', precision: 1 to 38, scale: up to precision }`,
  },
)

export const jsonlSinkOptions = z.strictObject({ ...files, compression: textCompression })

export const csvSinkOptions = z.strictObject({
  ...files,
  columns: z
    .array(name)
    .min(1)
    .refine(names => new Set(names).size === names.length, { error: 'a column is named twice' })
    .describe('the names of the columns'),
  header: z.boolean().default(true),
  delimiter: z
    .string()
    .regex(/^[^"\r\n\w]$/, { error: 'expected one character that is no letter, digit, quote or line end' })
    .default(','),
  compression: textCompression,
})

export const parquetSinkOptions = z.strictObject({
  ...files,
  columns: z
    .record(name, column)
    .refine(columns => Object.keys(columns).length > 0, { error: 'expected one column at least, such as { id: "string" }' })
    .describe('the names and types of the columns, such as { id: "string", total: "double" }'),
  compression: z.enum(['none', 'snappy', 'gzip', 'zstd']).default('snappy'),
  rowGroupBytes: z
    .number()
    .min(64 * 1024)
    .max(1024 * MIB)
    .default(32 * MIB),
})

/** The options of all outputs, completed. */
export type CompleteFilesOptions = z.output<z.ZodObject<typeof files>>

/** When parts are put together; undefined where they are at every batch. */
export function rollRule({ rollBytes, rollMs }: CompleteFilesOptions): { readonly bytes: number; readonly ms: number } | undefined {
  if (rollBytes === undefined && rollMs === undefined) return undefined
  return { bytes: rollBytes ?? DEFAULT_ROLL_BYTES, ms: rollMs ?? DEFAULT_ROLL_MS }
}
