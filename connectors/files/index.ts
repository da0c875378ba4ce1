/**
 * Files as an output: one JSONL file a range, named by the range and the batch.
 *
 * @example
 * job.from(source).map(json<Order>()).to(jsonlSink({ directory: 'out/orders' }))
 */
export { type JsonlFile, listJsonlFiles } from './list-jsonl-files.ts'
export type { JsonlSinkOptions } from './options.ts'
export { jsonlSink } from './sink.ts'
