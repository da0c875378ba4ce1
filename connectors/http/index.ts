/**
 * HTTP as an output: batches of rows by POST, with a key for each request.
 *
 * @example
 * job.from(source).map(json<Order>()).to(httpSink({ url: 'https://api.example.com/orders' }))
 */
export type { HttpHeaders, HttpRequestInfo, HttpSinkOptions, HttpTls } from './options.ts'
export { httpSink } from './sink.ts'
