import { expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import { collect } from '../../../support/collect.ts'
import type { ServedName } from '../../../support/scripted-broker/wire.ts'
import { ScriptedCluster, scriptedValue, topicIdOf } from '../../../support/scripted-broker.ts'

const RANGE = { topic: 'orders', partition: 0, fromOffset: 3, untilOffset: 27 }

/** Reads {@link RANGE} from a broker that knows no versions above `max`, and gives the version each request came in. */
async function readFrom(max: Partial<Record<ServedName, number>>, { hasTopicIds = true } = {}) {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 30 }] })
  const topic = cluster.topics.get('orders')
  if (topic !== undefined && !hasTopicIds) topic.topicId = undefined
  const keys: Record<ServedName, number> = { ApiVersions: 18, Metadata: 3, ListOffsets: 2, Fetch: 1, OffsetForLeaderEpoch: 23 }
  cluster.broker.script('ApiVersions', (_asked, respond) => {
    const response = respond()
    const apiKeys = response.apiKeys.map(known => {
      const [name] = (Object.keys(keys) as ServedName[]).filter(api => keys[api] === known.apiKey)
      return { ...known, maxVersion: (name && max[name]) ?? known.maxVersion }
    })
    return { ...response, apiKeys }
  })
  const source = kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'] })
  try {
    const [latest] = await source.latestOffsets()
    const records = await collect(source, RANGE)
    expect(records.map(({ offset, value }) => [offset, value])).toEqual(
      Array.from({ length: 24 }, (_, index) => [3 + index, scriptedValue(3 + index)]),
    )
    const versions = Object.fromEntries(cluster.broker.requests.map(({ api, version }) => [api, version]))
    return { latest, versions, fetches: cluster.broker.asked('Fetch') }
  } finally {
    await source.close()
  }
}

test('each request goes at the highest version that both sides know', async () => {
  const { latest, versions, fetches } = await readFrom({})
  expect(versions).toEqual({ ApiVersions: 4, Metadata: 13, ListOffsets: 11, Fetch: 17 })
  expect(latest).toEqual({ topic: 'orders', partition: 0, offset: 30, leaderEpoch: 0, topicId: topicIdOf(1) })
  expect(fetches[0]?.request.topics[0]).toMatchObject({ topicId: topicIdOf(1) })
})

test.for([11, 12])('from a broker that knows Fetch %i topics are fetched by their names', async max => {
  const { versions, fetches } = await readFrom({ Fetch: max })
  expect(versions).toMatchObject({ Fetch: max })
  expect(fetches[0]?.request.topics[0]).toMatchObject({ topic: 'orders' })
})

test('a topic without an id is fetched by its name, also from a broker that knows ids', async () => {
  const { versions, fetches, latest } = await readFrom({}, { hasTopicIds: false })
  expect(versions).toMatchObject({ Fetch: 12 })
  expect(fetches[0]?.request.topics[0]).toMatchObject({ topic: 'orders' })
  expect(latest).toEqual({ topic: 'orders', partition: 0, offset: 30, leaderEpoch: 0 })
})

test('the oldest versions that are of use work: those of Kafka 2.1', async () => {
  const { versions } = await readFrom({ ApiVersions: 2, Metadata: 7, ListOffsets: 4, Fetch: 10, OffsetForLeaderEpoch: 2 })
  // The broker would understand the fourth version of ApiVersions here; it says what it knows, and is asked no more.
  expect(versions).toMatchObject({ Metadata: 7, ListOffsets: 4, Fetch: 10 })
})

test('a broker that does not know the version of ApiVersions answers in version 0, and is asked again in one it knows', async () => {
  await using cluster = await ScriptedCluster.start({ orders: [{ records: 30 }] })
  cluster.broker.script('ApiVersions', ({ version }, respond, frame) => {
    if (version <= 2) return undefined
    const response = respond()
    // Correlation id, error 35, then the one api it wants to talk about: ApiVersions itself, 0 to 2. No throttle time in version 0.
    const body = Buffer.from('00000000' + '0000000000230000000100120000' + '0002', 'hex')
    body.writeInt32BE(frame(response).readInt32BE(4), 4)
    body.writeInt32BE(body.length - 4, 0)
    return { bytes: body }
  })
  const source = kafkaSource({ kafka: { brokers: cluster.addresses }, topics: ['orders'] })
  expect(await source.latestOffsets()).toMatchObject([{ offset: 30 }])
  expect(cluster.broker.asked('ApiVersions').map(({ version }) => version)).toEqual([4, 2])
  await source.close()
})

test.for([
  ['Fetch', 9, 'Fetch in versions 4 to 9'],
  ['ListOffsets', 3, 'ListOffsets in versions 4 to 3'],
  ['Metadata', 6, 'Metadata in versions 7 to 6'],
] as const)('a broker whose newest %s is %i is too old, and the error says so', async ([api, max, speaks]) => {
  await expect(readFrom({ [api]: max })).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(new RegExp(`speaks ${speaks}, and Tidemark needs .*Kafka 2.1`)),
  })
})
