/**
 * Files as an output: JSONL, CSV and Parquet, compressed, in folders by what is in the rows, rolled by size across batches, with a manifest.
 *
 * @example
 * job.from(source).map(json<Order>()).to(parquetSink({ directory: 'out/orders', columns: { id: 'string', total: 'double' } }))
 */
export type { TextCompression } from './formats/compress.ts'
export { listFiles, type OutputFile } from './list-files.ts'
export { type JsonlFile, listJsonlFiles } from './list-range-files.ts'
export type { CsvSinkOptions, FilesOptions, JsonlSinkOptions, ParquetSinkOptions } from './options.ts'
export type { ParquetColumn, ParquetType } from './parquet/columns.ts'
export type { ParquetCompression } from './parquet/compress-page.ts'
export type { PartitionLevel, TimeLevel } from './partition-by.ts'
export { csvSink, jsonlSink, parquetSink } from './sinks.ts'
