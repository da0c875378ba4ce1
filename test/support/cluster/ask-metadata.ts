import { connect } from 'node:net'
import { ConnectionError } from '../../../src/core/errors.ts'

/** What one broker believes about its cluster. */
export type MetadataAnswer = {
  readonly brokerIds: readonly number[]
  /** Topics it knows, without those it reports an error for. */
  readonly topics: ReadonlyMap<string, readonly PartitionAnswer[]>
}

/** `errorCode` and `leader` are Kafka's: 0 is fine, −1 is nobody. */
type PartitionAnswer = {
  readonly partition: number
  readonly errorCode: number
  readonly leader: number
  readonly isr: readonly number[]
}

const METADATA_KEY = 3
const METADATA_VERSION = 7
const TIMEOUT_MS = 5000

/**
 * Asks one particular broker, at `host:port` without encryption, what it knows: a client library answers from whichever broker it
 * likes, and the brokers of a cluster learn of a change one after the other.
 *
 * @throws ConnectionError when it cannot be reached or does not answer
 */
export function askMetadata(address: string, topics: readonly string[] = []): Promise<MetadataAnswer> {
  return new Promise((resolve, reject) => {
    const colon = address.lastIndexOf(':')
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) })
    const fail = (reason: string, cause?: unknown) => {
      socket.destroy()
      reject(new ConnectionError(`Kafka at ${address} ${reason}.`, { cause }))
    }
    let received = Buffer.alloc(0)
    socket.setTimeout(TIMEOUT_MS, () => fail(`did not answer within ${TIMEOUT_MS} ms`))
    socket.once('error', error => fail(`cannot be reached: ${error.message}`, error))
    socket.once('close', () => fail('closed the connection'))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length < 4 || received.length < 4 + received.readInt32BE(0)) return
      resolve(readMetadata(received))
      socket.destroy()
    })
    socket.write(metadataRequest(topics))
  })
}

function metadataRequest(topics: readonly string[]): Buffer {
  const head = Buffer.alloc(10)
  head.writeInt16BE(METADATA_KEY, 0)
  head.writeInt16BE(METADATA_VERSION, 2)
  head.writeInt32BE(1, 4)
  head.writeInt16BE(-1, 8)
  const count = Buffer.alloc(4)
  count.writeInt32BE(topics.length)
  const names = topics.map(topic => {
    const name = Buffer.from(`\0\0${topic}`)
    name.writeInt16BE(name.length - 2)
    return name
  })
  const doNotCreate = Buffer.from([0])
  const body = Buffer.concat([head, count, ...names, doNotCreate])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

function readMetadata(bytes: Buffer): MetadataAnswer {
  // Length, correlation id and throttle time come first.
  let at = 12
  const take = (length: number) => {
    at += length
    return at - length
  }
  const int8 = () => bytes.readInt8(take(1))
  const int16 = () => bytes.readInt16BE(take(2))
  const int32 = () => bytes.readInt32BE(take(4))
  const text = () => {
    const length = Math.max(0, int16())
    return bytes.toString('utf8', take(length), at)
  }
  const list = <T>(item: () => T): T[] => Array.from({ length: Math.max(0, int32()) }, item)

  const brokerIds = list(() => {
    const nodeId = int32()
    text()
    int32()
    text()
    return nodeId
  })
  text()
  int32()
  const topics = list(() => {
    const errorCode = int16()
    const name = text()
    int8()
    const partitions = list(() => {
      const partition = { errorCode: int16(), partition: int32(), leader: int32() }
      int32()
      list(int32)
      const isr = list(int32)
      list(int32)
      return { ...partition, isr }
    })
    return { errorCode, name, partitions }
  })
  return { brokerIds, topics: new Map(topics.filter(topic => topic.errorCode === 0).map(topic => [topic.name, topic.partitions])) }
}
