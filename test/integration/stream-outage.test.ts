import { expect, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import type { StreamEvent } from '../../src/core/events.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'
import { askMetadata } from '../support/cluster/ask-metadata.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { createTopic, sendMessages, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { RequestCounter } from './counting-socket.ts'

/** Of all requests to one broker while the other is away: looking for it must not become a storm. */
const MAX_REQUESTS_A_SECOND = 40

test('a broker that is killed and comes back turns the health red and green, and nothing is lost or doubled', async () => {
  await using kafka = await startKafka({ brokers: 2, own: true })
  const stays = await createTopic(uniqueName('stays'), { assignment: [[1]] }, kafka)
  // Lives on the broker that will go, and nowhere else.
  const goes = await createTopic(uniqueName('goes'), { assignment: [[2]] }, kafka)
  const counter = new RequestCounter()
  const got: string[] = []
  const events: StreamEvent[] = []
  const health = () => events.flatMap(event => (event.type === 'health' ? [event.status] : []))
  const run = await stream({ name: 'outage', offsets: memoryOffsets(), batchIntervalMs: 0, log: silentLog })
    .from(kafkaSource({ kafka: { brokers: kafka.brokers, socketFactory: counter.socketFactory }, topics: [stays, goes] }))
    .map(record => String(record.value))
    .forEachBatch(rows => {
      got.push(...rows)
    })
    .start({ listeners: [event => events.push(event)] })
  const ended = run.done.then(() => expect.fail('the run has ended'))
  ended.catch(() => {})
  const until = (what: string, look: () => boolean) => Promise.race([ended, waitUntil(what, async () => look(), { timeoutMs: 45_000 })])
  const send = (topic: string, value: string) => sendMessages(topic, [{ value }], { kafka })

  await send(stays, 'a')
  await send(goes, 'b')
  await until('both topics read', () => got.length === 2)

  await kafka.killBroker(1)
  const killedAt = performance.now()
  counter.reset()
  await until('red health', () => health().at(-1) === 'red')
  await send(stays, 'meanwhile')
  // Long enough for a storm to show.
  await waitUntil('some seconds of it', async () => performance.now() - killedAt > 4_000)
  const perSecond = counter.most / ((performance.now() - killedAt) / 1_000)
  expect(perSecond).toBeLessThan(MAX_REQUESTS_A_SECOND)

  await kafka.startBroker(1)
  const [first = ''] = kafka.brokers
  await waitUntil('its leader', async () => (await askMetadata(first, [goes])).topics.get(goes)?.[0]?.leader === 2)
  await send(goes, 'again')
  await until('what was written meanwhile and after', () => got.length === 4)
  await until('green health', () => health().at(-1) === 'green')
  await run.stop()
  expect(await run.done).toMatchObject({ reason: 'stopped', records: 4 })
  expect(got.toSorted()).toEqual(['a', 'again', 'b', 'meanwhile'])
})
