import { afterAll, beforeAll, expect, test } from 'vitest'
import { kafkaSource } from '../../../../connectors/kafka/index.ts'
import type { KafkaCluster } from '../../../support/cluster/kafka-cluster.ts'
import { startKafka } from '../../../support/cluster/start-kafka.ts'
import { grantRights } from '../../../support/grant-rights.ts'
import { createTopic, saslConfig, uniqueName } from '../../../support/kafka.ts'
import { waitUntil } from '../../../support/services/wait-until.ts'

let kafka: KafkaCluster
let topic: string

beforeAll(async () => {
  kafka = await startKafka({ sasl: true, authorizer: true, own: true })
  topic = await createTopic(uniqueName('rights'), {}, kafka)
  await grantRights(kafka, [{ on: 'TOPIC', name: topic, operations: ['DESCRIBE'] }])
})
afterAll(() => kafka?.close())

const positions = () => [{ topic, partition: 0, offset: 0 }]

test('who may not write the group, or not read the topic, is told which right is missing', async () => {
  const group = uniqueName('group')
  await using source = kafkaSource({ kafka: saslConfig(kafka), topics: [topic], alsoCommitToGroup: group })
  const refusal = async () => source.commitToGroup?.(positions()).catch((error: unknown) => error)

  for (const operations of [[], ['DESCRIBE']] as const) {
    await grantRights(kafka, [{ on: 'GROUP', name: group, operations }])
    expect(await refusal()).toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(
        new RegExp(`^Group ${group} was not told the offsets: not allowed .* Grant the user Read on the group`),
      ),
    })
  }
  await grantRights(kafka, [{ on: 'GROUP', name: group, operations: ['READ'] }])
  // A right counts a moment after it was granted.
  await waitUntil('the right to the group counts', async () => !/on the group/.test(String(await refusal())))
  expect(await refusal()).toMatchObject({ code: 'AUTH', message: expect.stringMatching(/Grant the user Read on the topic/) })

  await grantRights(kafka, [{ on: 'TOPIC', name: topic, operations: ['READ'] }])
  await waitUntil('the right to the topic counts', async () => (await refusal()) === undefined)
  expect(await source.committedOffsets?.(group)).toMatchObject(positions())
})
