import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isRetryable } from '../../../../src/core/errors.ts'
import type { Sink } from '../../../../src/core/sink.ts'
import type { KafkaCluster } from '../../../support/cluster/kafka-cluster.ts'
import { startKafka } from '../../../support/cluster/start-kafka.ts'
import { kafkaClient, saslConfig, uniqueName } from '../../../support/kafka.ts'
import { waitUntil } from '../../../support/services/wait-until.ts'
import { heldOrders, type Order, once, orders, running, SinkWorld } from './sink-world.ts'

let kafka: KafkaCluster

beforeAll(async () => {
  kafka = await startKafka({ brokers: 2, sasl: true, authorizer: true, own: true })
})
afterAll(() => kafka?.close())

/** Tries again what may pass, as a driver does. */
async function untilDone(what: string, call: () => Promise<void> | undefined): Promise<void> {
  await waitUntil(what, async () => {
    try {
      await call()
      return true
    } catch (error) {
      if (!isRetryable(error)) throw Object.assign(new Error(`${what} failed for good`), { cause: error })
      throw error
    }
  })
}

describe('a user without the right', () => {
  type Right = readonly [kind: 'TOPIC' | 'TRANSACTIONAL_ID', name: string, ...(keyof typeof AclOperationTypes)[]]

  async function grant(...rights: Right[]): Promise<void> {
    const acl = rights.flatMap(([kind, resourceName, ...operations]) =>
      operations.map(operation => ({
        resourceType: AclResourceTypes[kind],
        resourceName,
        resourcePatternType: kind === 'TOPIC' ? ResourcePatternTypes.LITERAL : ResourcePatternTypes.PREFIXED,
        principal: `User:${kafka.sasl?.username}`,
        host: '*',
        operation: AclOperationTypes[operation],
        permissionType: AclPermissionTypes.ALLOW,
      })),
    )
    const admin = kafkaClient(kafka).admin()
    await admin.connect()
    await admin.createAcls({ acl })
    await admin.disconnect()
  }

  test('is told which, one after another, until it writes', async () => {
    const ledgerTopic = uniqueName('ledger')
    const world = await SinkWorld.open({ on: kafka, ledgerTopic, partitions: 1 })
    const open = () => world.sink({ kafka: saslConfig(kafka) })
    const refused = (code: string, words: RegExp) => ({ code, message: expect.stringMatching(words) })

    await expect(open()).rejects.toMatchObject(refused('AUTH', /Metadata of topic sink-.*TOPIC_AUTHORIZATION_FAILED/))
    await grant(['TOPIC', world.topic, 'DESCRIBE'])
    await expect(open()).rejects.toMatchObject(refused('AUTH', /Ledger topic ledger-.*Grant the user Create, .* kafka-topics\.sh --create/))
    await world.sink()
    await grant(['TOPIC', ledgerTopic, 'DESCRIBE', 'DESCRIBE_CONFIGS', 'READ', 'WRITE'])
    const sink: Sink<Order> = await open()
    const fence = () => sink.fence?.(world.mark(1, 1))
    await expect(fence()).rejects.toMatchObject(refused('AUTH', /transactional ids that begin with tidemark-/))
    await grant(['TRANSACTIONAL_ID', 'tidemark-', 'DESCRIBE', 'WRITE'])
    await untilGranted(fence)
    const write = () => sink.write(world.task(), orders(1), running)
    await expect(write()).rejects.toMatchObject(refused('AUTH', /Grant the user Write and Describe on topic sink-/))
    await grant(['TOPIC', world.topic, 'WRITE'])
    await untilGranted(write)
    expect(await world.seen()).toEqual(once(1))
  })
})

describe('a broker that is killed and comes back', () => {
  test('in the middle of a task, costs attempts and no row', { timeout: 180_000 }, async () => {
    const world = await SinkWorld.open({ on: kafka, assignment: [[2], [1]] })
    const sink = await world.sink()
    for (const batchId of [1, 2]) {
      await sink.fence?.(world.mark(1, batchId))
      await sink.write(world.task({ batchId }), orders(batchId), running)
    }
    await sink.fence?.(world.mark(1, 3))
    const held = heldOrders(3, 4)
    const writing = Promise.allSettled([sink.write(world.task({ batchId: 3 }), held.rows, running)])
    await held.reached
    await kafka.killBroker(1)
    held.go()
    const [ended] = await writing
    if (ended.status === 'rejected') expect(ended.reason).toMatchObject({ retryable: true })
    await kafka.startBroker(1)
    await untilDone('task 0 of batch 3', () => sink.write(world.task({ batchId: 3 }), orders(3, 4), running))
    for (const batchId of [4, 5]) {
      await untilDone(`the fence of batch ${batchId}`, () => sink.fence?.(world.mark(1, batchId)))
      await untilDone(`batch ${batchId}`, () => sink.write(world.task({ batchId }), orders(batchId + 1), running))
    }
    expect(await world.seen()).toEqual(once(1, 2, 3, 4, 5, 6))
  })
})

/** A right that is given reaches the brokers a moment later. */
async function untilGranted(call: () => Promise<void> | undefined): Promise<void> {
  await waitUntil('the right', async () => {
    await call()
    return true
  })
}
