// Clicks with their section, into another topic, exactly once. Offsets and ledger are in Kafka too.
import { stream } from 'tidemark'
import { json, kafkaSink, kafkaSource } from 'tidemark/kafka'
import { kafkaOffsets } from 'tidemark/offsets/kafka'

type Click = { id: number; user: string; page: string; isRobot: boolean }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '' } = process.env
const kafka = { brokers: KAFKA_BROKERS.split(',') }

export default stream({
  name: `${TOPIC_PREFIX}enrich`,
  offsets: kafkaOffsets({ kafka, topic: `${TOPIC_PREFIX}offsets` }),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: 4_000 },
  leaseTtlMs: 2_000,
  guarantee: 'exactly-once',
})
  .from(kafkaSource({ kafka, topics: [`${TOPIC_PREFIX}clicks`] }))
  .map(json<Click>())
  .filter(click => !click.isRobot)
  .map(({ id, user, page }) => ({ id, user, section: page.split('/')[1] ?? '' }))
  .to(
    kafkaSink({
      kafka,
      topic: `${TOPIC_PREFIX}sections`,
      key: row => row.user,
      compression: 'lz4',
      ledgerTopic: `${TOPIC_PREFIX}ledger`,
    }),
    { name: 'sections' },
  )
