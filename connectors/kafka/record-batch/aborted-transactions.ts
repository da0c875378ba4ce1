/** A transaction that was aborted, as a fetch response lists it: its producer and the first offset it wrote in the partition. */
export type AbortedTransaction = { readonly producerId: number | bigint; readonly firstOffset: number }

/**
 * Which producers are inside an aborted transaction while a response's batches go by, as the Java client's `CompletedFetch` keeps it.
 *
 * - The list is put in order of first offsets here. Brokers send it in the order of *last* offsets, so with two transactions open at once,
 *   A from 10 to 55 and B from 50 to 53, a reader that trusts the order looks for A only after B and delivers 10 to 50.
 * - A producer leaves at its abort marker, and comes back at the first offset of its next aborted transaction.
 * - Nothing outlives the response: the broker lists every transaction that touches the offsets it sends.
 */
export class AbortedTransactions {
  readonly #upcoming: readonly AbortedTransaction[]
  readonly #active = new Set<number | bigint>()
  #next = 0

  constructor(transactions: readonly AbortedTransaction[]) {
    this.#upcoming = transactions
      .map(({ producerId, firstOffset }) => ({ producerId: normalProducerId(producerId), firstOffset }))
      .sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Takes in the transactions that have begun by the end of a batch. */
  advanceTo(lastOffset: number): void {
    for (let next = this.#upcoming[this.#next]; next !== undefined && next.firstOffset <= lastOffset; next = this.#upcoming[++this.#next]) {
      this.#active.add(next.producerId)
    }
  }

  /** Whether what this producer writes now will be aborted. */
  isActive(producerId: number | bigint): boolean {
    return this.#active.has(producerId)
  }

  /** The producer's abort marker went by. */
  end(producerId: number | bigint): void {
    this.#active.delete(producerId)
  }
}

/** A producer id as a set's key: a number where it is safe, for `1n` and `1` name the same producer. */
export function normalProducerId(producerId: number | bigint): number | bigint {
  return typeof producerId === 'bigint' && producerId >= -MAX_SAFE && producerId <= MAX_SAFE ? Number(producerId) : producerId
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
