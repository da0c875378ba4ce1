import { partitionKey, type TopicPartition } from '../../../src/core/values.ts'

/** What a fetch asks for at the most where a round trip is short: it stays in the processor's cache until it is decoded. */
const NEAR_FETCH_BYTES = 1_048_576
/** Large records are decoded in no time, so that a fetch of few is mostly the broker's work: at least so many are asked for at a time. */
const LEAST_OFFSETS = 2_048
/** How much more for each millisecond of a round trip, so that the broker is not asked more often than it can answer. */
const BYTES_PER_LATENCY_MS = 524_288
/** Asked for at least: less saves nothing, and a batch comes whole anyway. */
const LEAST_FETCH_BYTES = 65_536
const LEAST_ESTIMATE_BYTES = 4_096
/** Asked for beyond the estimate, so that the end of a range seldom takes another fetch. */
const MARGIN = 1.1

/**
 * How many bytes to ask for. By what a partition's offsets have weighed: a fetch cannot say where to end, and without this one for a small
 * range at the head of a long log would bring megabytes that nobody reads. And by the latency: near brokers give small fetches, which are 1.4
 * times faster to read than 8 MiB and hold a quarter of the memory, far ones give large fetches, so that the line is never idle.
 */
export class FetchSizes {
  readonly #maxBytes: number
  readonly #bytesPerOffset = new Map<string, number>()
  /** By topic: what is taken for partitions of which nothing was fetched yet. */
  readonly #topicBytesPerOffset = new Map<string, number>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** For `offsets` offsets of a partition whose leader answers after `latencyMs`, which is infinite while nobody knows. */
  bytesFor(at: TopicPartition, offsets: number, latencyMs: number): number {
    const known = Number.isFinite(latencyMs) ? latencyMs : 0
    const weight = this.#bytesPerOffset.get(partitionKey(at))
    const least = Math.max(NEAR_FETCH_BYTES, Math.ceil((weight ?? 0) * LEAST_OFFSETS))
    const worthwhile = Math.min(this.#maxBytes, Math.max(least, Math.ceil(known * BYTES_PER_LATENCY_MS)))
    const needed = weight === undefined ? worthwhile : Math.ceil(weight * offsets * MARGIN) + LEAST_FETCH_BYTES
    return Math.min(needed, worthwhile)
  }

  /** What so many offsets of a partition are expected to weigh, with some to spare; undefined while nothing is known of its topic. */
  estimate(at: TopicPartition, offsets: number): number | undefined {
    const weight = this.#bytesPerOffset.get(partitionKey(at)) ?? this.#topicBytesPerOffset.get(at.topic)
    return weight === undefined ? undefined : Math.ceil(weight * offsets * MARGIN) + LEAST_ESTIMATE_BYTES
  }

  /** Learns from a fetch that brought `bytes` for `offsets`. Half of what is known is the newest fetch. */
  learn(at: TopicPartition, bytes: number, offsets: number): void {
    if (bytes <= 0 || offsets <= 0) return
    learnInto(this.#bytesPerOffset, partitionKey(at), bytes / offsets)
    learnInto(this.#topicBytesPerOffset, at.topic, bytes / offsets)
  }
}

function learnInto(weights: Map<string, number>, key: string, weight: number): void {
  const known = weights.get(key)
  weights.set(key, known === undefined ? weight : (known + weight) / 2)
}
