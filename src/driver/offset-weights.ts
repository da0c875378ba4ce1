import { countOffsets, type OffsetRange, partitionKey, type TopicPartition } from '../core/values.ts'

/** What one range of a batch weighed as fetched, bytes. */
export type RangeBytes = { readonly range: OffsetRange; readonly bytes: number }

/** Weights as an intent saves them: what is usual, and by topic and partition where it is far from that (bytes). */
export type SavedWeights = {
  readonly bytesPerOffset?: number
  readonly bytesPerOffsetOf?: { readonly [topic: string]: { readonly [partition: string]: number } }
}

/** A partition within this factor of what is usual is saved as that. */
const USUAL_WITHIN = 1.5

/**
 * What an offset weighs, partition by partition, as recent batches have shown. One weight for all would not do: with a partition of large
 * records and one of small ones it follows whichever had more offsets lately, and the first backlog of the other is planned far above the limit.
 */
export class OffsetWeights {
  readonly #weights = new Map<string, TopicPartition & { bytes: number }>()
  /** What is usual in an earlier run: its partitions that were not far from it are not in the map. */
  #restored: number | undefined
  #sumOfLogs = 0

  /** Takes over what an intent saved. */
  restore({ bytesPerOffset, bytesPerOffsetOf = {} }: SavedWeights): void {
    this.#restored = bytesPerOffset
    for (const [topic, partitions] of Object.entries(bytesPerOffsetOf)) {
      for (const [partition, bytes] of Object.entries(partitions)) this.#set({ topic, partition: Number(partition) }, bytes)
    }
  }

  /** Learns from a batch. Half of what is known of a partition is the newest batch; a range that was not read says nothing. */
  learn(batch: readonly RangeBytes[]): void {
    const read = new Map<string, TopicPartition & { offsets: number; bytes: number }>()
    for (const { range, bytes } of batch) {
      if (bytes === 0) continue
      const { topic, partition, fromOffset, untilOffset } = range
      const sum = read.get(partitionKey(range))
      if (sum === undefined) read.set(partitionKey(range), { topic, partition, offsets: untilOffset - fromOffset, bytes })
      else {
        sum.offsets += untilOffset - fromOffset
        sum.bytes += bytes
      }
    }
    for (const [key, { offsets, bytes, ...at }] of read) {
      const known = this.#weights.get(key)?.bytes
      this.#set(at, known === undefined ? bytes / offsets : (known + bytes / offsets) / 2)
    }
  }

  /** Bytes an offset of the partition is expected to weigh; undefined before anything was weighed. */
  of(at: TopicPartition): number | undefined {
    return this.#weights.get(partitionKey(at))?.bytes ?? this.#usual
  }

  /** Bytes a range is expected to weigh; undefined before anything was weighed. */
  weigh(range: OffsetRange): number | undefined {
    const weight = this.of(range)
    return weight === undefined ? undefined : Math.ceil(weight * countOffsets(range))
  }

  /** For the intent, so that the byte limit holds from a restart's first batch on. */
  save(): SavedWeights {
    const usual = this.#usual
    if (usual === undefined) return {}
    const far: Record<string, Record<string, number>> = {}
    for (const { topic, partition, bytes } of this.#weights.values()) {
      if (bytes <= usual * USUAL_WITHIN && bytes >= usual / USUAL_WITHIN) continue
      far[topic] ??= {}
      far[topic][partition] = bytes
    }
    return { bytesPerOffset: usual, ...(Object.keys(far).length > 0 && { bytesPerOffsetOf: far }) }
  }

  /** Of a partition that no batch has shown: the geometric mean, which one partition of huge records among many does not lift far. */
  get #usual(): number | undefined {
    if (this.#restored !== undefined || this.#weights.size === 0) return this.#restored
    return toWeight(Math.exp(this.#sumOfLogs / this.#weights.size))
  }

  #set({ topic, partition }: TopicPartition, bytes: number): void {
    const key = partitionKey({ topic, partition })
    const before = this.#weights.get(key)?.bytes ?? 1
    const weight = toWeight(bytes)
    this.#weights.set(key, { topic, partition, bytes: weight })
    this.#sumOfLogs += Math.log(weight / before)
  }
}

/** Rounded, for short intents. Well compressed, an offset can weigh less than a byte. */
function toWeight(bytes: number): number {
  return bytes < 10 ? Math.ceil(bytes * 100) / 100 : Math.round(bytes)
}
