import { partitionKey, type TopicPartition } from '../../../src/core/values.ts'

/** Asked for while nothing is known of a partition's records. */
const FIRST_FETCH_BYTES = 1_048_576
/** Asked for at least: less saves nothing, and a batch comes whole anyway. */
const LEAST_FETCH_BYTES = 65_536
/** Asked for beyond the estimate, so that the end of a range seldom takes another fetch. */
const MARGIN = 1.1

/**
 * How many bytes to ask for, by what a partition's offsets have weighed: a fetch cannot say where to end, and without this one for a small
 * range at the head of a long log would bring megabytes that nobody reads.
 */
export class FetchSizes {
  readonly #maxBytes: number
  readonly #bytesPerOffset = new Map<string, number>()

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  bytesFor(at: TopicPartition, offsets: number): number {
    const weight = this.#bytesPerOffset.get(partitionKey(at))
    const wanted =
      weight === undefined ? FIRST_FETCH_BYTES : Math.max(LEAST_FETCH_BYTES, Math.ceil(weight * offsets * MARGIN) + LEAST_FETCH_BYTES)
    return Math.min(wanted, this.#maxBytes)
  }

  /** Learns from a fetch that brought `bytes` for `offsets`. Half of what is known is the newest fetch. */
  learn(at: TopicPartition, bytes: number, offsets: number): void {
    if (bytes <= 0 || offsets <= 0) return
    const key = partitionKey(at)
    const weight = bytes / offsets
    const known = this.#bytesPerOffset.get(key)
    this.#bytesPerOffset.set(key, known === undefined ? weight : (known + weight) / 2)
  }
}
