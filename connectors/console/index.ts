/**
 * The console as an output, for development.
 *
 * @example
 * job.from(source).map(json<Order>()).to(consoleSink())
 */
export type { ConsoleSinkOptions } from './options.ts'
export { consoleSink } from './sink.ts'
