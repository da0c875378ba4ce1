import { DecodeError, isDataLoss, isTidemarkError } from '../../../src/core/errors.ts'
import type { ReadOptions } from '../../../src/core/source.ts'
import { type OffsetRange, showPartition } from '../../../src/core/values.ts'
import type { FetchPartition } from '../protocol/fetch.ts'
import type { KafkaRecord } from '../record.ts'
import { BatchDecoder } from '../record-batch/batch-decoder.ts'
import { scanBatches } from '../record-batch/scan-batches.ts'
import { PartitionFetcher } from './partition-fetcher.ts'
import type { Session } from './session.ts'

/** A fetch on its way, or arrived and not decoded, with the bytes it holds of the budget. */
type Fetch = { readonly answer: Promise<FetchPartition>; heldBytes: number }

/** Made once: an error with its stack costs more than the rest of a small read. */
const READ_ENDED = new Error('the read has ended')

/**
 * Reads exactly the records of a range. The range is done when the position reaches its end, so gaps do not matter; the next fetch is sent when
 * the headers of the last are scanned, so the broker works while this one is decoded. `recordTopic` is what records call their topic: its alias,
 * where it has one.
 */
export async function* readRange(
  session: Session,
  range: OffsetRange,
  recordTopic: string,
  options: ReadOptions,
): AsyncGenerator<readonly KafkaRecord[]> {
  const { fromOffset } = range
  let { untilOffset } = range
  if (fromOffset >= untilOffset) return
  const { isolation: own, maxDecompressedBatchBytes: maxDecompressedBytes } = session.options
  const isolation = options.isolation ?? own
  const ending = new AbortController()
  const signal = AbortSignal.any([session.signalOf(options.signal), ending.signal])
  const fetcher = new PartitionFetcher(session, range, isolation, signal)
  let current: Fetch | undefined
  let next: Fetch | undefined

  /** Begins a fetch; without a turn only where the budget has room now. */
  async function begin(offset: number, lastEpoch: number, isAhead: boolean): Promise<Fetch | undefined> {
    const maxBytes = Math.min(session.budget.halfBytes, session.sizes.bytesFor(range, untilOffset - offset, fetcher.latencyMs))
    if (!isAhead) await session.budget.take(maxBytes, signal)
    else if (!session.budget.tryTake(maxBytes)) return undefined
    const answer = fetcher.fetch({ offset, lastEpoch, maxBytes })
    // It is awaited in its turn; until then its failure must not count as unhandled.
    answer.catch(() => {})
    return { answer, heldBytes: maxBytes }
  }

  function end(fetch: Fetch | undefined): void {
    if (fetch !== undefined) session.budget.give(fetch.heldBytes)
  }

  try {
    let position = fromOffset
    let lastEpoch = -1
    /** Where damaged bytes were met; met there again, they are damaged in the log. */
    let damagedAt: number | undefined
    const shared = await session.shared.take(range, isolation, signal)
    if (shared !== undefined) current = { answer: Promise.resolve(shared), heldBytes: shared.records.length }
    while (position < untilOffset) {
      current ??= next ?? (await begin(position, lastEpoch, false))
      next = undefined
      if (current === undefined) break
      const answer = await current.answer.catch(error => {
        if (!isDataLoss(error) || options.onDataLoss === undefined) throw error
        options.onDataLoss(error)
        return error
      })
      if (answer instanceof Error) {
        // What is left: from where the log begins now, up to where it was cut, or nothing.
        const [missing] = answer.missing
        if (answer.lossCause === 'retention' && missing !== undefined) {
          position = missing.untilOffset
          // The batch before is none that was read: its epoch may be another, and the broker would take that for a log that was cut.
          lastEpoch = -1
        } else if (answer.lossCause === 'truncation' && missing !== undefined) {
          untilOffset = Math.max(position, Math.min(missing.fromOffset, untilOffset))
          fetcher.narrow(untilOffset)
        } else return
        end(current)
        current = undefined
        continue
      }
      const { records: bytes, abortedTransactions } = answer
      // What was asked for and did not come is free again; a batch larger than the limit counts as what it is.
      session.budget.give(current.heldBytes - bytes.length)
      current.heldBytes = bytes.length
      options.onBytes?.(bytes.length)

      const scan = scanBatches(bytes)
      // A slice may begin and end inside of batches, which come whole or are cut off: taken for its own, their bytes would make every offset seem heavier.
      if (scan.nextOffset > position) session.sizes.learn(range, scan.completeBytes, scan.nextOffset - Math.min(position, scan.firstOffset))
      lastEpoch = scan.lastEpoch
      if (scan.nextOffset > position && scan.nextOffset < untilOffset) next = await begin(scan.nextOffset, lastEpoch, true)

      const decoder = new BatchDecoder(bytes, {
        topic: recordTopic,
        partition: range.partition,
        fromOffset: position,
        untilOffset,
        isolation,
        abortedTransactions,
        maxDecompressedBytes,
      })
      let damage: unknown
      for (;;) {
        let records: ReturnType<typeof decoder.next>
        try {
          records = decoder.next()
        } catch (error) {
          if (!isTidemarkError(error, 'DECODE') || damagedAt === decoder.nextOffset) throw error
          damage = error
        }
        if (records === undefined) break
        yield records
        signal.throwIfAborted()
      }
      if (damage === undefined && decoder.nextOffset <= position) throw noProgress(range, position, bytes.length)
      position = decoder.nextOffset
      if (damage !== undefined) {
        // On the way or in the log? Only the broker's disk says, so it is asked once more, and not over the connection that brought this.
        damagedAt = position
        lastEpoch = -1
        // What is on its way came over that connection too; left alone, it would go on trying beside the next fetch.
        await next?.answer.catch(() => {})
        end(next)
        next = undefined
        fetcher.reconnect()
      }
      end(current)
      current = undefined
    }
  } finally {
    ending.abort(READ_ENDED)
    fetcher.close()
    end(current)
    end(next)
  }
}

function noProgress(range: OffsetRange, position: number, bytes: number): DecodeError {
  return new DecodeError(`${showPartition(range)}: the ${bytes} bytes fetched at offset ${position} hold nothing at or after it.`, {
    at: { topic: range.topic, partition: range.partition, offset: position },
  })
}
