import type { KafkaRecord } from '../../connectors/kafka/index.ts'
import { type OracleRecord, recordCrc } from './oracle.ts'

/** Records as the oracle prints them, to be compared with what the Java consumer read. */
export function asOracle(records: readonly KafkaRecord[]): OracleRecord[] {
  return records.map(record => ({
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    crc: recordCrc(record),
  }))
}
