import { crc32 } from 'node:zlib'
import type { OffsetRange } from '../../src/core/values.ts'
import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { runJava, SHORT_RUN } from './cluster/run-java.ts'

/** One record as the official Java consumer saw it; `crc` is {@link recordCrc} of its key, value and headers. */
export type OracleRecord = { readonly partition: number; readonly offset: number; readonly timestamp: number; readonly crc: number }

/** What of a record {@link recordCrc} covers. */
export type RecordContent = {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [string, Uint8Array | null])[]
}

/**
 * Reads a topic with the official Java consumer: what our own reader is compared with. Without `ranges` every partition from its
 * start to its end; with them exactly `[fromOffset, untilOffset)` of each. Ordered by partition, then offset.
 *
 * @throws ConfigError when there is no Java to run it
 */
export async function readAll(
  kafka: KafkaAddress,
  topic: string,
  isolation: 'read_committed' | 'read_uncommitted',
  ranges: readonly Pick<OffsetRange, 'partition' | 'fromOffset' | 'untilOffset'>[] = [],
): Promise<OracleRecord[]> {
  const bounds = ranges.map(range => `${range.partition}:${range.fromOffset}:${range.untilOffset}`)
  const printed = await runJava(kafka, 'ReadAll.java', brokers => [brokers, topic, isolation, ...bounds], { jvm: SHORT_RUN })
  const records = printed.split('\n').filter(Boolean).map(readLine)
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** The CRC-32 that `ReadAll.java` prints: over key, value and headers, 0xFF for null, else 0x00 and the bytes; header names are bare. */
export function recordCrc({ key, value, headers }: RecordContent): number {
  let crc = addField(addField(0, key), value)
  for (const [name, content] of headers) crc = addField(crc32(name, crc), content)
  return crc
}

const ABSENT = Uint8Array.of(0xff)
const PRESENT = Uint8Array.of(0x00)

function addField(crc: number, bytes: Uint8Array | null): number {
  return bytes === null ? crc32(ABSENT, crc) : crc32(bytes, crc32(PRESENT, crc))
}

function readLine(line: string): OracleRecord {
  const [partition, offset, timestamp, crc] = line.split(' ')
  return { partition: Number(partition), offset: Number(offset), timestamp: Number(timestamp), crc: Number.parseInt(crc ?? '', 16) }
}
