import { Agent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { type Random, systemRandom } from '../../src/core/random.ts'
import type { Guarantee, Ordering, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { Acknowledged } from './acknowledged.ts'
import { checkEndpoint } from './check-endpoint.ts'
import { type ChunkOptions, chunkRows, type RowChunk } from './chunk-rows.ts'
import { Circuit } from './circuit.ts'
import { type DeliveryParts, deliverChunk, requestInfo } from './deliver-chunk.ts'
import { describeEndpoint, type Endpoint } from './endpoint.ts'
import { idempotencyKey } from './idempotency-key.ts'
import { type CompleteHttpOptions, type HttpSinkOptions, httpSinkOptions } from './options.ts'

type ChunkPlace = Omit<RowChunk, 'body'>
type World = { readonly clock: Clock; readonly random: Random }

/**
 * Rows to an HTTP endpoint, some in a request, each request with a key that names it for ever: `at-least-once`, and `idempotent` where the endpoint honours
 * the key (`honoursKeys`). A request that fails in a way that may pass (5xx, 408, 425, 429, the network) is tried again; an endpoint that is away is waited
 * for with health red, however long it takes. What it refuses stops the stream, with its words and the rows.
 *
 *     httpSink({ url: 'https://api.example.com/orders', headers: async () => ({ authorization: `Bearer ${await token()}` }) })
 *
 * Throws `ConfigError` for wrong options; connects only once the stream starts.
 */
export function httpSink<Row = unknown>(
  options: HttpSinkOptions<Row>,
  world: World = { clock: systemClock, random: systemRandom },
): Sink<Row> {
  return new HttpSink(parseOptions(httpSinkOptions, options, 'httpSink'), world)
}

class HttpSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee: Guarantee
  readonly ordering: Ordering
  readonly target: string
  readonly rewritten: Rewritten = { addsRows: true, sentence: 'sent a second time, under other keys than the first' }
  readonly #options: CompleteHttpOptions
  readonly #endpoint: Endpoint
  readonly #world: World
  /** By stream and output: what a stream is called in its store tells it from another of its name. */
  readonly #streamIds = new Map<string, string>()
  readonly #acknowledged = new Acknowledged()
  #parts: DeliveryParts | undefined

  constructor(options: CompleteHttpOptions, world: World) {
    this.#options = options
    this.#endpoint = describeEndpoint(options.url)
    this.#world = world
    this.name = `http:${options.name ?? this.#endpoint.url.host}`
    this.guarantee = options.honoursKeys ? 'idempotent' : 'at-least-once'
    this.ordering = options.ordering
    this.target = this.#endpoint.target
  }

  async prepare({ signal }: SinkContext): Promise<void> {
    // Through a proxy nobody can tell without a request.
    if (usesProxy()) return
    await checkEndpoint(this.#endpoint, this.#options.tls, this.#options.timeoutMs, signal)
  }

  async open({ stream, output, streamId }: SinkContext): Promise<void> {
    this.#streamIds.set(JSON.stringify([stream, output]), streamId)
  }

  async write(
    task: Task,
    rows: AsyncIterable<readonly unknown[]>,
    { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress?: (() => void) | undefined },
  ): Promise<void> {
    signal.throwIfAborted()
    this.#parts ??= this.#makeParts()
    const parts = this.#parts
    // Before a row is drawn: while the endpoint is away nothing is fetched for it.
    parts.circuit.check()
    const streamId = this.#streamIds.get(JSON.stringify([task.stream, task.output])) ?? ''
    const keyOf = (chunk: ChunkPlace) => idempotencyKey(streamId, task, chunk)
    const progress = this.#acknowledged.of(streamId, task)
    const failed = new AbortController()
    const onAbort = () => failed.abort(signal.reason)
    signal.addEventListener('abort', onAbort)
    const underWay = new Set<Promise<void>>()
    try {
      for await (const chunk of chunkRows(rows, task, this.#chunkOptions(task, keyOf))) {
        if (progress.has(chunk)) continue
        if (underWay.size >= this.#options.concurrency) await Promise.race(underWay)
        failed.signal.throwIfAborted()
        const sent = deliverChunk({ task, chunk, key: keyOf(chunk), signal: failed.signal }, parts)
          .then(
            () => {
              progress.note(chunk)
              // Rows come by the hundred, and may go one by one: without it the task would look stuck in between.
              onProgress?.()
            },
            error => failed.abort(error),
          )
          .finally(() => underWay.delete(sent))
        underWay.add(sent)
      }
    } catch (error) {
      failed.abort(error)
    }
    // Nothing of this attempt is on its way when it has ended: the next one may follow at once.
    await Promise.all(underWay)
    signal.removeEventListener('abort', onAbort)
    failed.signal.throwIfAborted()
    this.#acknowledged.forget(streamId, task)
  }

  async close(): Promise<void> {
    this.#parts?.agent.destroy()
    this.#parts = undefined
    this.#streamIds.clear()
  }

  #chunkOptions(task: Task, keyOf: (chunk: ChunkPlace) => string): ChunkOptions {
    const { maxRowsPerRequest: maxRows, maxBytesPerRequest: maxBytes, body } = this.#options
    return { maxRows, maxBytes, body, describe: chunk => requestInfo(task, chunk, keyOf(chunk)) }
  }

  #makeParts(): DeliveryParts {
    const { breakAfter, probeEveryMs, tls } = this.#options
    const endpoint = this.#endpoint
    const common = { keepAlive: true, ...(usesProxy() && { proxyEnv: process.env }) }
    const agent = endpoint.url.protocol === 'https:' ? new TlsAgent({ ...common, ...(tls as object | undefined) }) : new Agent(common)
    const circuit = new Circuit({ breakAfter, probeEveryMs, clock: this.#world.clock, endpoint: endpoint.shown })
    return { options: this.#options, endpoint, circuit, agent, ...this.#world }
  }
}

/** Whether Node was told to go by `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, which it does for agents of its own only. */
function usesProxy(): boolean {
  return process.env.NODE_USE_ENV_PROXY === '1'
}
