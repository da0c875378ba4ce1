// The job of the crash tests of dead letters: two tables, functions that fail on what a checksum says, and letters, with places to strike.
import { deadLetter, stream } from 'tidemark'
import { type KafkaRecord, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { postgresSink } from 'tidemark/postgres'
import { recordCrc } from '../support/oracle.ts'
import { withStrikes } from './strike.ts'

const { CRASH_BROKERS = '', CRASH_TOPIC = '', CRASH_FOLDER = '', CRASH_POSTGRES = '', CRASH_TABLE = '', CRASH_MENDED = '' } = process.env
/** What the job's functions fail on, where it is not mended. */
const isBad = (crc: number, divisor: number) => CRASH_MENDED === '' && crc % divisor === 0

const table = (name: string) =>
  withStrikes(postgresSink<object>({ connectionString: CRASH_POSTGRES, table: `${CRASH_TABLE}_${name}`, schema: `${CRASH_TABLE}_ledger` }))

const job = stream({
  name: 'crash',
  offsets: withStrikes(sqliteOffsets({ path: `${CRASH_FOLDER}/offsets.db` })),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 150 },
  leaseTtlMs: 500,
  guarantee: 'exactly-once',
  onRecordError: deadLetter(table('letters'), { name: 'letters' }),
})

const places = job.from(kafkaSource({ kafka: { brokers: CRASH_BROKERS.split(',') }, topics: [CRASH_TOPIC] })).map(function parse(
  record: KafkaRecord,
) {
  const crc = recordCrc(record)
  if (isBad(crc, 7)) throw new RangeError(`a checksum of ${crc}`)
  return { partition: record.partition, offset: record.offset, crc }
})
places.to(table('all'), { name: 'all' })

export default places
  .filter(async function chosen({ crc }) {
    if (isBad(crc, 11)) throw new TypeError(`eleven times ${crc / 11}`)
    return true
  })
  .to(table('chosen'), { name: 'chosen' })
