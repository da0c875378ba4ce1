import type { TopicPartition } from '../../../../src/core/values.ts'
import { type Api, isFlexible } from '../../protocol/api.ts'
import { decodeBody } from '../../protocol/message.ts'
import { Writer } from '../../protocol/writer.ts'

/**
 * Record batches for partitions of one leader. From version 12 on a transaction's partitions are added by writing to them (KIP-890), which needs
 * the cluster's consent; up to 11 they are added first.
 */
const PRODUCE: Api = { name: 'Produce', apiKey: 0, minVersion: 7, maxVersion: 11, firstFlexibleVersion: 9 }

const ACKS_OF_ALL = -1

export type ProduceRequest = {
  readonly transactionalId: string
  readonly timeoutMs: number
  /** One record batch a partition. */
  readonly batches: readonly (TopicPartition & { readonly bytes: Buffer })[]
}
export type ProduceResponse = {
  readonly throttleTimeMs: number
  readonly results: readonly (TopicPartition & { readonly errorCode: number; readonly errorMessage: string | null })[]
}

/** The batches are copied once, into the request. */
function encodeProduceRequest(version: number, { transactionalId, timeoutMs, batches }: ProduceRequest): Buffer {
  const flexible = isFlexible(PRODUCE, version)
  const parts: Buffer[] = []
  let writer = new Writer(flexible).nullableString(transactionalId).int16(ACKS_OF_ALL).int32(timeoutMs)
  writer.array([...Map.groupBy(batches, at => at.topic)], ([topic, own]) => {
    writer.string(topic)
    writer.array(own, ({ partition, bytes }) => {
      writer.int32(partition)
      if (flexible) writer.uvarint(bytes.length + 1)
      else writer.int32(bytes.length)
      parts.push(writer.finish(), bytes)
      writer = new Writer(flexible).tags()
    })
    writer.tags()
  })
  parts.push(writer.tags().finish())
  return Buffer.concat(parts)
}

function decodeProduceResponse(version: number, body: Buffer): ProduceResponse {
  return decodeBody(PRODUCE, version, body, reader => {
    const topics = reader.array(() => {
      const topic = reader.string()
      const results = reader.array(() => {
        const [partition, errorCode] = [reader.int32(), reader.int16()]
        // Base offset, the broker's time, the log's start.
        for (let skipped = 0; skipped < 3; skipped++) reader.timestamp()
        let errorMessage: string | null = null
        if (version >= 8) {
          const recordErrors = reader.array(() => {
            reader.int32()
            const message = reader.nullableString()
            reader.tags()
            return message
          })
          errorMessage = reader.nullableString() ?? recordErrors.find(message => message !== null) ?? null
        }
        reader.tags()
        return { topic, partition, errorCode, errorMessage }
      })
      reader.tags()
      return results
    })
    const throttleTimeMs = reader.int32()
    reader.tags()
    return { throttleTimeMs, results: topics.flat() }
  })
}

/** The request with its codec. Below version 7 a broker takes no zstd. */
export const PRODUCE_CALL = { api: PRODUCE, floor: 7, encode: encodeProduceRequest, decode: decodeProduceResponse }
