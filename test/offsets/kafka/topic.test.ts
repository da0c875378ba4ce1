import { describe, expect, test } from 'vitest'
import { createTopic, kafkaClient, kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { alterSettings, createOffsetsTopic, LONG_MS, openStore, SETTINGS, settingsOf } from './own-topic.ts'

async function topics(): Promise<string[]> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    return await admin.listTopics()
  } finally {
    await admin.disconnect()
  }
}

describe('the topic of the offsets', () => {
  test('is made with the settings it needs when a stream is first acquired, and not before', async () => {
    const topic = uniqueName('offsets')
    await using store = openStore(topic)
    expect(await store.read('orders')).toMatchObject({ streamId: undefined, epoch: 0 })
    expect(await store.streams()).toEqual([])
    await expect(store.renew({ stream: 'orders', owner: 'a', epoch: 1, streamId: 'x', ttlMs: LONG_MS })).rejects.toMatchObject({
      code: 'FENCED',
    })
    expect(await topics()).not.toContain(topic)

    await store.acquire('orders', 'a', LONG_MS)
    expect(Object.fromEntries(await settingsOf(topic))).toMatchObject(SETTINGS)
    expect(await store.streams()).toEqual(['orders'])
  })

  test('that two clients make at once is one', async () => {
    const topic = uniqueName('offsets')
    await using one = openStore(topic)
    await using other = openStore(topic)
    await Promise.all([one.acquire('a', 'a', LONG_MS), other.acquire('b', 'b', LONG_MS)])
    expect(await one.streams()).toEqual(['a', 'b'])
  })

  test('that is set otherwise is refused with the command that mends it', async () => {
    const topic = await createTopic(uniqueName('plain'), { partitions: 8, config: { 'compression.type': 'lz4' } })
    await using store = openStore(topic)
    const brokers = kafkaCluster().brokers.join(',')
    await expect(store.acquire('orders', 'a', LONG_MS)).rejects.toMatchObject({
      code: 'CONFIG',
      message:
        `Topic ${topic} cannot hold offsets: cleanup.policy is delete (offsets would be deleted by their age); message.timestamp.type is CreateTime ` +
        '(leases would live by the clocks of clients); compression.type is lz4 (brokers would rewrite what Tidemark reads). Run kafka-configs.sh ' +
        `--bootstrap-server ${brokers} --alter --entity-type topics --entity-name ${topic} --add-config ` +
        'cleanup.policy=compact,message.timestamp.type=LogAppendTime,compression.type=producer',
    })
  })

  test.for([
    ['unclean.leader.election.enable', 'true'],
    ['cleanup.policy', 'compact,delete'],
  ] as const)('with %s=%s is refused, also for reading', async ([name, value]) => {
    const topic = await createOffsetsTopic({ [name]: value })
    await using store = openStore(topic)
    await expect(store.read('orders')).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(`--add-config ${name}=${SETTINGS[name]}$`),
    })
  })

  test('with too few partitions is refused, and one with more is not', async () => {
    const few = await createOffsetsTopic({}, 3)
    await using store = openStore(few)
    await expect(store.acquire('orders', 'a', LONG_MS)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/has 3 partitions.*--alter --topic .* --partitions 8/),
    })
    await using wide = openStore(await createOffsetsTopic({}, 9))
    expect((await wide.acquire('orders', 'a', LONG_MS)).epoch).toBe(1)
  })

  test('that loses LogAppendTime while it is used grants no lease by the clock of a client', async () => {
    const topic = await createOffsetsTopic()
    await using store = openStore(topic)
    await store.acquire('orders', 'a', LONG_MS)
    const acquireAnother = () => store.acquire('orders', 'b', LONG_MS).catch((error: unknown) => String(error))
    await alterSettings(topic, { ...SETTINGS, 'message.timestamp.type': 'CreateTime' })
    await expect.poll(acquireAnother, { timeout: 20_000 }).toMatch(/has lost its message.timestamp.type=LogAppendTime/)
    await alterSettings(topic, SETTINGS)
    await expect.poll(acquireAnother, { timeout: 20_000 }).toMatch(/is driven by a/)
  })
})
