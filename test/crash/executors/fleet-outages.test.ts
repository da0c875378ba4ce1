import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { NO_DIFFERENCE } from '../../support/compare-places.ts'
import { kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { services } from '../../support/services.ts'
import { type FilledTopic, fillTopic } from './fill-topic.ts'
import { drain, startDriver, startExecutor } from './fleet-processes.ts'
import { emptyRedis } from './fleet-walk.ts'
import { openGate } from './gate.ts'
import { compareFleet, makeFleet } from './make-fleet.ts'
import type { FleetStream } from './plan.ts'

/** Of a Redis that keeps nothing over its end. */
const NO_MEMORY = ['--save', '', '--appendonly', 'no']

let topic: FilledTopic
beforeAll(async () => {
  topic = await fillTopic('fleet-outages', 1_500)
})

function heldFleet(): Promise<FleetStream> {
  return makeFleet(kafkaCluster(), {
    ...{ stream: uniqueName('outages'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
    flows: [{ topic: topic.topic, outputs: ['postgres append', 'files'] }],
    ...{ recordsPerBatch: 600, recordsPerTask: 100, isHeld: true },
  })
}

async function expectExact(fleet: FleetStream): Promise<void> {
  const differences = await compareFleet(fleet, kafkaCluster(), new Map([[topic.topic, topic.byJava]]))
  expect(Object.fromEntries(differences)).toEqual({ 'postgres append': NO_DIFFERENCE, files: NO_DIFFERENCE })
}

describe('a driver', () => {
  test('whose executors are all gone is red, waits, and goes on with the first that comes', async () => {
    const fleet = await heldFleet()
    await using redis = await startRedis({ own: true })
    const gone = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const driver = startDriver(fleet, redis.address)
    for (const executor of gone) await executor.says('held 1')
    for (const executor of gone) executor.signal('SIGKILL')
    await driver.says('health is red')
    const one = startExecutor(fleet, redis.address)
    await one.says('held 1')
    openGate(fleet.folder)
    await driver.says('health is green')
    expect(await driver.ended).toMatchObject({ code: 0 })
    await drain(one)
    await expectExact(fleet)
  })

  test('that starts before any executor waits for one', async () => {
    const fleet = await heldFleet()
    openGate(fleet.folder)
    await using redis = await startRedis({ own: true })
    const driver = startDriver(fleet, redis.address)
    await driver.says('health is red')
    const one = startExecutor(fleet, redis.address)
    expect(await driver.ended).toMatchObject({ code: 0 })
    await drain(one)
    await expectExact(fleet)
  })
})

describe('a batch under way', () => {
  test('is finished when Redis was killed and comes back without its memory', async () => {
    const fleet = await heldFleet()
    await using redis = await startRedis({ own: true, args: NO_MEMORY })
    const executors = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const driver = startDriver(fleet, redis.address)
    for (const executor of executors) await executor.says('held 1')
    await redis.kill()
    await driver.says('health is red')
    await redis.start()
    openGate(fleet.folder)
    await driver.says('health is green')
    expect(await driver.ended).toMatchObject({ code: 0 })
    await drain(...executors)
    await expectExact(fleet)
  })

  test('is finished when its reports come while Redis is away', async () => {
    const fleet = await heldFleet()
    await using redis = await startRedis({ own: true, args: NO_MEMORY })
    const executors = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const driver = startDriver(fleet, redis.address)
    for (const executor of executors) await executor.says('held 1')
    await redis.kill()
    openGate(fleet.folder)
    for (const executor of executors) await executor.says('through 1')
    await driver.says('health is red')
    await redis.start()
    expect(await driver.ended).toMatchObject({ code: 0 })
    await drain(...executors)
    await expectExact(fleet)
  })

  test('is finished when everything in Redis is flushed', async () => {
    const fleet = await heldFleet()
    await using redis = await startRedis({ own: true })
    const executors = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const driver = startDriver(fleet, redis.address)
    for (const executor of executors) await executor.says('held 1')
    await emptyRedis(redis.address)
    openGate(fleet.folder)
    expect(await driver.ended).toMatchObject({ code: 0 })
    await drain(...executors)
    await expectExact(fleet)
  })
})
