import { type Clock, systemClock } from '../../src/core/clock.ts'
import type { Sink } from '../../src/core/sink.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { csvFormat } from './formats/csv.ts'
import { jsonlFormat } from './formats/jsonl.ts'
import {
  type CsvSinkOptions,
  csvSinkOptions,
  type JsonlSinkOptions,
  jsonlSinkOptions,
  type ParquetSinkOptions,
  parquetSinkOptions,
} from './options.ts'
import { parquetFormat } from './parquet/parquet-format.ts'
import { FilesSink } from './sink.ts'

/**
 * Rows as JSONL files. By default a file a range: `<directory>/<topic>/<partition>/<from>-<until>-b<batch>.jsonl`, offsets padded to 16 digits. A range
 * without rows has an empty file, so the names tile the log. Capitals and odd characters of a topic become `%XX`. `idempotent`: a task's file is
 * written aside, fsynced and renamed, so it is there whole or not at all, and a second run gives the same file.
 *
 * Throws `ConfigError` for a directory that is missing or empty; touches the disk only once the stream starts.
 */
export function jsonlSink<Row = unknown>(options: JsonlSinkOptions<Row>, clock: Clock = systemClock): Sink<Row> {
  const { compression, ...files } = parseOptions(jsonlSinkOptions, options, 'jsonlSink')
  return new FilesSink(jsonlFormat(compression), files, clock)
}

/** Rows as CSV files with the columns that are named, in the layouts of {@link jsonlSink}. Text, numbers, booleans and Dates as they are, the rest as JSON. */
export function csvSink<Row = Record<string, unknown>>(options: CsvSinkOptions<Row>, clock: Clock = systemClock): Sink<Row> {
  const { compression, columns, header, delimiter, ...files } = parseOptions(csvSinkOptions, options, 'csvSink')
  return new FilesSink(csvFormat({ columns, header, delimiter }, compression), files, clock)
}

/** Rows as Parquet files with the columns that are declared, in the layouts of {@link jsonlSink}. A value that its column cannot take is a `RecordError`. */
export function parquetSink<Row = Record<string, unknown>>(options: ParquetSinkOptions<Row>, clock: Clock = systemClock): Sink<Row> {
  const { compression, columns, rowGroupBytes, ...files } = parseOptions(parquetSinkOptions, options, 'parquetSink')
  return new FilesSink(parquetFormat({ columns, compression, rowGroupBytes }), files, clock)
}
