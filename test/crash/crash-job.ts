// The job of the crash tests: every record's place and checksum into files, so that they can be held against what the Java client reads.
import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { type KafkaRecord, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { recordCrc } from '../support/oracle.ts'
import { strikeAtRename, withStrikes } from './strike.ts'

const { CRASH_BROKERS = '', CRASH_TOPICS = '', CRASH_FOLDER = '', CRASH_BATCH = '100', CRASH_TTL_MS = '500' } = process.env

strikeAtRename()
const sink = jsonlSink({ directory: `${CRASH_FOLDER}/rows` })

export default stream({
  name: 'crash',
  offsets: withStrikes(sqliteOffsets({ path: `${CRASH_FOLDER}/offsets.db` })),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: Number(CRASH_BATCH) },
  leaseTtlMs: Number(CRASH_TTL_MS),
})
  .from(kafkaSource({ kafka: { brokers: CRASH_BROKERS.split(',') }, topics: CRASH_TOPICS.split(',') }))
  .map((record: KafkaRecord) => ({ topic: record.topic, partition: record.partition, offset: record.offset, crc: recordCrc(record) }))
  .to(withStrikes(sink), { name: 'rows' })
