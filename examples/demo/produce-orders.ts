import { CompressionTypes, Kafka, logLevel, type Message } from 'kafkajs'
// Teaches kafkajs, which knows gzip only, the other codecs.
import '../../test/support/kafkajs-codecs.ts'

const ORDERS_A_SEND = 10_000
const PARTITIONS = 4
const CURRENCIES = ['EUR', 'USD', 'GBP', 'SEK']
const FIRST_ORDER_AT = Date.UTC(2026, 10, 20)

/** Makes a topic of 4 partitions and fills it with `count` orders: JSON with keys, some with headers, compressed with lz4. */
export async function produceOrders(brokers: string[], topic: string, count: number, tell: (sent: number) => void): Promise<void> {
  const kafka = new Kafka({ clientId: 'tidemark-demo', brokers, logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1 }] })
  await admin.disconnect()

  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
  })
  await producer.connect()
  let sent = 0
  const send = async (first: number) => {
    const messages = Array.from({ length: Math.min(ORDERS_A_SEND, count - first) }, (_, at) => order(first + at))
    await producer.send({ topic, messages, compression: CompressionTypes.LZ4 })
    sent += messages.length
    tell(sent)
  }
  // Two at a time: while one is on its way, the next is made.
  for (let first = 0; first < count; first += 2 * ORDERS_A_SEND) {
    await Promise.all([send(first), ...(first + ORDERS_A_SEND < count ? [send(first + ORDERS_A_SEND)] : [])])
  }
  await producer.disconnect()
}

/** Deletes the topic, if it is there. */
export async function deleteTopic(brokers: string[], topic: string): Promise<void> {
  const admin = new Kafka({ clientId: 'tidemark-demo', brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    if ((await admin.listTopics()).includes(topic)) await admin.deleteTopics({ topics: [topic] })
  } finally {
    await admin.disconnect()
  }
}

/** The order with this id, always the same, so that what comes out can be checked against what went in. */
function order(id: number): Message {
  const items = Array.from({ length: 1 + (id % 3) }, (_, at) => ({
    sku: `SKU-${(id * 7 + at * 13) % 5000}`,
    quantity: 1 + ((id + at) % 4),
    price: ((id * 37 + at * 101) % 10_000) / 100,
  }))
  const customer = `customer-${id % 50_000}`
  const placedAt = new Date(FIRST_ORDER_AT + id * 20).toISOString()
  const value = JSON.stringify({ id, customer, items, currency: CURRENCIES[id % CURRENCIES.length], placedAt })
  const headers = id % 10 === 0 ? { headers: { source: 'web', trace: `trace-${id}` } } : {}
  return { key: customer, value, partition: id % PARTITIONS, ...headers }
}
