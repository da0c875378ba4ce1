import { connect } from 'node:net'
import { Writer } from '../../connectors/kafka/protocol/writer.ts'
import { ConnectionError } from '../../src/core/errors.ts'
import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { type BatchToEncode, encodeRecordBatch } from './encode-record-batch.ts'

const PRODUCE = { apiKey: 0, version: 7, correlationId: 1 } as const
const NOT_LEADER_OR_FOLLOWER = 6
/** Where the error of the only partition stands in an answer: behind size, correlation id, the topic with its name, and the partition. */
const errorAt = (topic: string) => 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4

/**
 * Writes a record batch as it is, for what no producer's API lets through (kafkajs has no header without a value). Every broker is tried, since
 * only the partition's leader takes it.
 */
export async function sendBatch(kafka: KafkaAddress, topic: string, partition: number, batch: BatchToEncode): Promise<void> {
  const request = produceRequest(topic, partition, encodeRecordBatch(batch))
  let error = NOT_LEADER_OR_FOLLOWER
  for (const broker of kafka.brokers) {
    if (error === NOT_LEADER_OR_FOLLOWER) error = (await ask(broker, request)).readInt16BE(errorAt(topic))
  }
  if (error !== 0) throw new ConnectionError(`The batch for ${topic}/${partition} was refused with error ${error}.`)
}

function produceRequest(topic: string, partition: number, batch: Buffer): Buffer {
  const ALL = -1
  const head = new Writer(false)
    .int32(0)
    .int16(PRODUCE.apiKey)
    .int16(PRODUCE.version)
    .int32(PRODUCE.correlationId)
    .nullableString('tidemark-test')
  head.nullableString(null).int16(ALL).int32(10_000)
  head.int32(1).string(topic).int32(1).int32(partition).int32(batch.length)
  const frame = Buffer.concat([head.finish(), batch])
  frame.writeInt32BE(frame.length - 4)
  return frame
}

function ask(broker: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const [host = '', port] = broker.split(':')
    const socket = connect({ host, port: Number(port) })
    let received = Buffer.alloc(0)
    socket.on('error', reject)
    socket.on('close', () => reject(new ConnectionError(`Kafka at ${broker} closed the connection.`)))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      resolve(received)
      socket.destroy()
    })
    socket.write(request)
  })
}
