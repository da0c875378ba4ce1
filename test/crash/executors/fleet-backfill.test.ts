import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { comparePlaces, NO_DIFFERENCE } from '../../support/compare-places.ts'
import { createTopic, kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { produce } from '../../support/produce.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { services } from '../../support/services.ts'
import { type FilledTopic, fillTopic } from './fill-topic.ts'
import { drain, startBackfill, startDriver, startExecutor } from './fleet-processes.ts'
import { openGate } from './gate.ts'
import { makeFleet, placesByJava, readFleetOutput } from './make-fleet.ts'
import type { FleetStream } from './plan.ts'

const ALL = ['--from', 'earliest', '--to', 'latest']

function fleetOf(topic: string, options: Partial<FleetStream> = {}): Promise<FleetStream> {
  return makeFleet(kafkaCluster(), {
    ...{ stream: uniqueName('past'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
    ...{ recordsPerBatch: 600, recordsPerTask: 100, leaseTtlMs: 1_000 },
    ...options,
    flows: [{ topic, outputs: ['postgres append'] }],
  })
}

async function expectExact(fleet: FleetStream, { topic, byJava }: FilledTopic): Promise<void> {
  const [output] = fleet.flows[0]?.outputs ?? []
  const written = output === undefined ? [] : await readFleetOutput(fleet, kafkaCluster(), topic, output)
  expect(comparePlaces(written, byJava)).toEqual(NO_DIFFERENCE)
}

describe('a backfill over executors on other machines', () => {
  test('has every record once when an executor is killed inside its tasks, and then its driver, and the same command goes on', async () => {
    const topic = await fillTopic('past-killed', 3_000)
    const fleet = await fleetOf(topic.topic, { isHeld: true })
    await using redis = await startRedis({ own: true })
    const [killed, stays] = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const first = startBackfill(fleet, redis.address, ...ALL)
    for (const executor of [killed, stays]) await executor.says('held 1')
    killed.signal('SIGKILL')
    first.signal('SIGKILL')
    await first.ended

    const again = startBackfill(fleet, redis.address, ...ALL, '--json')
    await stays.says('held 2')
    openGate(fleet.folder)
    const { code, stdout, stderr } = await again.ended
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ name: `${fleet.stream}~backfill-1`, resumed: true, reason: 'done' })
    await drain(stays)
    await expectExact(fleet, topic)
  })

  test('shares them with its live stream, and the two have every record once', async () => {
    const topic = await fillTopic('past-beside', 1_500)
    const fleet = await fleetOf(topic.topic, { startingOffsets: { at: 'latest' } })
    await using redis = await startRedis({ own: true })
    const executors = [startExecutor(fleet, redis.address), startExecutor(fleet, redis.address)]
    const live = startDriver(fleet, redis.address, [])
    await live.says('starting points written')
    const before = topic.byJava.length
    await produce(kafkaCluster(), { topic: topic.topic, count: 300, firstId: 1_500, keys: true })
    await live.says('batch completed')

    const backfill = startBackfill(fleet, redis.address, '--from', 'earliest', '--until-live', '--json')
    const { code, stdout, stderr } = await backfill.ended
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ records: before, rows: before })
    live.signal('SIGTERM')
    expect(await live.ended).toMatchObject({ code: 0 })
    const rest = startDriver(fleet, redis.address)
    expect(await rest.ended).toMatchObject({ code: 0 })
    await drain(...executors)
    await expectExact(fleet, { topic: topic.topic, byJava: await placesByJava(kafkaCluster(), topic.topic) })
  })

  test('that goes by exact time leaves out the same records there', async () => {
    const topic = await createTopic(uniqueName('past-time'), { partitions: 2 })
    const from = Date.UTC(2021, 10, 1)
    await produce(kafkaCluster(), { topic, count: 400, keys: true, timestamp: from, timestampStep: 1_000 })
    // Records of the minutes before, behind those.
    await produce(kafkaCluster(), { topic, count: 400, firstId: 400, keys: true, timestamp: from - 400_000, timestampStep: 1_000 })
    await produce(kafkaCluster(), { topic, count: 2, firstId: 800, keys: true, timestamp: from + 3_600_000 })
    const fleet = await fleetOf(topic)
    await using redis = await startRedis({ own: true })
    const executor = startExecutor(fleet, redis.address)
    const window = ['--from', String(from - 100_000), '--to', String(from + 300_000), '--exact-time', '--late', '30m']
    const { code, stdout, stderr } = await startBackfill(fleet, redis.address, ...window, '--json').ended
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ records: 800, outsideTime: 400, rows: 400 })
    await drain(executor)
    const byJava = (await placesByJava(kafkaCluster(), topic)).filter(place => {
      const offset = Number(place.split(':')[1])
      return offset < 150 || (offset >= 350 && offset < 400)
    })
    await expectExact(fleet, { topic, byJava })
  })
})
