import { expect, test } from 'vitest'
import { decodeFetchResponse, encodeFetchRequest, type FetchRequest } from '../../../../connectors/kafka/protocol/fetch.ts'

const REQUEST: FetchRequest = { maxWaitMs: 500, minBytes: 1, maxBytes: 1024, isolationLevel: 1, topics: [], rackId: '' }
const PARTITION = { partition: 3, currentLeaderEpoch: 5, fetchOffset: 7, lastFetchedEpoch: -1, partitionMaxBytes: 1024 }

test('the records of a response are a view of it', () => {
  const hex =
    '00000000000000000000000000010001740000000100000001000000000000000000090000000000000009000000000000000000000000ffffffff00000003aabbcc'
  const body = Buffer.from(hex, 'hex')
  const records = decodeFetchResponse(11, body).responses[0]?.partitions[0]?.records
  expect(records).toEqual(Buffer.from('aabbcc', 'hex'))
  body.fill(0)
  expect(records).toEqual(Buffer.alloc(3))
})

test('a fetch by topic id of a topic without an id is refused before it is sent', () => {
  const request = { ...REQUEST, topics: [{ topic: 'orders', partitions: [PARTITION] }] }
  expect(() => encodeFetchRequest(13, request)).toThrow('is no topic id')
  expect(encodeFetchRequest(12, request).includes('orders')).toBe(true)
})

test('a request of many partitions outgrows the first buffer unharmed', () => {
  const partitions = Array.from({ length: 1000 }, (_, partition) => ({ ...PARTITION, partition, fetchOffset: partition * 2 ** 40 }))
  const bytes = encodeFetchRequest(11, { ...REQUEST, topics: [{ topic: 'ö'.repeat(120), partitions }] })
  // Behind the last partition of 28 bytes: no forgotten topics, and an empty rack.
  const last = bytes.subarray(-28 - 4 - 2)
  expect(last.readInt32BE(0)).toBe(999)
  expect(last.readBigInt64BE(8)).toBe(999n * 2n ** 40n)
})
