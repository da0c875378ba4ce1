import { JobError } from '../../../../src/core/errors.ts'
import { murmur2 } from './murmur2.ts'

/** Bytes after which rows without a key go on in the next partition: batches stay large, and partitions even. */
const BYTES_A_TURN = 65_536

/**
 * Where a task's rows without a key go: one partition after another, beginning at one that task and batch decide. The same rows go to the same
 * partitions when the task is run again.
 */
export class Turns {
  #turn: number
  #bytes = 0

  constructor(first: number) {
    this.#turn = first
  }

  next(partitions: number): number {
    return this.#turn % partitions
  }

  /** Says how much the last row was. */
  used(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < BYTES_A_TURN) return
    this.#bytes = 0
    this.#turn += 1
  }
}

/** The partition of a key, as Java's default partitioner chooses it. Of `key` the first `length` bytes count. */
export function partitionOfKey(key: Uint8Array, length: number, partitions: number): number {
  return (murmur2(key, length) & 0x7fffffff) % partitions
}

/** Checks what the user's `partition` function gave. */
export function checkPartition(partition: number, topic: string, partitions: number): number {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return partition
  throw new JobError(`kafkaSink's partition function gave ${partition} for a row; topic ${topic} has partitions 0 to ${partitions - 1}.`, {
    details: { topic, partition, partitions },
  })
}
