// Connects the engine to Kafka: sums of payments by customer, in a database that remembers which batches it has.
import { DatabaseSync } from 'node:sqlite'
import { openDirectStream } from 'tidemark'
import { type KafkaRecord, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { Engine } from './engine.ts'

type Payment = { customer: string; cents: number }

const { KAFKA_BROKERS = 'localhost:9092', TOPIC_PREFIX = '', EXAMPLE_DIRECTORY = '.' } = process.env

const engine = new Engine({ concurrency: 3 })
await using source = kafkaSource({ kafka: { brokers: KAFKA_BROKERS.split(',') }, topics: [`${TOPIC_PREFIX}payments`] })
await using offsets = sqliteOffsets({ path: `${EXAMPLE_DIRECTORY}/offsets.db` })
await using direct = await openDirectStream({
  name: 'totals',
  source,
  offsets,
  limits: { maxRecordsPerBatch: 2_000, maxRecordsPerTask: 300 },
  leaseTtlMs: 1_000,
})

using database = new DatabaseSync(`${EXAMPLE_DIRECTORY}/totals.db`)
database.exec(`
  create table if not exists totals (customer text primary key, cents integer not null);
  create table if not exists batches (stream text, id integer, epoch integer, ranges text, primary key (stream, id));
`)

await engine.schedule(5, async () => {
  const batch = await direct.next()
  if (batch === undefined) return 'enough'
  if (batch.isReplay) console.error(`totals: batch ${batch.id} was begun and not committed: its ${batch.ranges.length} ranges once more`)

  const parts = await engine.stage(batch.ranges, async range => {
    const payments: Payment[] = []
    const { isolation } = batch
    for await (const records of source.read(range, { signal: direct.signal, isolation })) payments.push(...records.map(parse))
    return payments
  })
  const byCustomer = engine.shuffle(parts, ({ customer }) => customer)
  const sums = await engine.stage([...byCustomer], async ([customer, payments]) => {
    return { customer, cents: payments.reduce((sum, { cents }) => sum + cents, 0) }
  })

  // The batch is still here: its ranges, its id and its epoch go into the transaction of the sums.
  database.exec('begin immediate')
  const { changes } = database
    .prepare('insert into batches values (?, ?, ?, ?) on conflict do nothing')
    .run(direct.lease.streamId, batch.id, batch.epoch, JSON.stringify(batch.ranges))
  if (changes === 1) {
    const add = database.prepare('insert into totals values (?, ?) on conflict (customer) do update set cents = cents + excluded.cents')
    for (const { customer, cents } of sums) add.run(customer, cents)
  }
  database.exec('commit')

  await direct.commit(batch)
  return 'again'
})

function parse({ value }: KafkaRecord): Payment {
  return JSON.parse(String(value))
}
