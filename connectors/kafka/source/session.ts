import { ConnectionPool } from '../cluster/connection-pool.ts'
import { MetadataCache } from '../cluster/metadata-cache.ts'
import type { CompleteKafkaSourceOptions } from '../options.ts'
import type { KafkaTransport } from '../transport/kafka-transport.ts'
import { ByteBudget } from './byte-budget.ts'
import { FetchSizes } from './fetch-sizes.ts'
import { RecordWatch } from './record-watch.ts'
import { SharedFetches } from './shared-fetches.ts'

/** Everything a source holds while it is open. A source that is used again after `close` opens another. */
export class Session {
  readonly options: CompleteKafkaSourceOptions
  readonly pool: ConnectionPool
  readonly metadata: MetadataCache
  readonly budget: ByteBudget
  readonly sizes: FetchSizes
  readonly watch: RecordWatch
  readonly shared: SharedFetches
  readonly #closing = new AbortController()

  constructor(options: CompleteKafkaSourceOptions, transport: KafkaTransport, bootstraps: number) {
    const { topics, metadataMaxAgeMs: maxAgeMs, maxBytesInFlight, fetchMaxBytes, isolation } = options
    this.options = options
    this.pool = new ConnectionPool(transport)
    this.metadata = new MetadataCache(this.pool, { topics, maxAgeMs, bootstraps, closing: this.#closing.signal })
    this.budget = new ByteBudget(maxBytesInFlight)
    this.sizes = new FetchSizes(fetchMaxBytes)
    this.watch = new RecordWatch(this, isolation)
    this.shared = new SharedFetches(this)
  }

  /** Aborted when the source is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** A signal that also ends when the source is closed. */
  signalOf(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.closing : AbortSignal.any([signal, this.closing])
  }

  close(reason: Error): void {
    this.#closing.abort(reason)
    this.watch.close()
    this.shared.clear()
    this.pool.close()
  }
}
