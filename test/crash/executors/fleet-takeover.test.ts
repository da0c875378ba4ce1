import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { NO_DIFFERENCE } from '../../support/compare-places.ts'
import { kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { services } from '../../support/services.ts'
import { fillTopic } from './fill-topic.ts'
import { stateOf } from './fleet-commands.ts'
import { drain, startDriver, startExecutor } from './fleet-processes.ts'
import { openGate } from './gate.ts'
import { compareFleet, makeFleet } from './make-fleet.ts'

test('the tasks of a driver that was killed are given up for those of the driver that follows it, while executors still work on them', async () => {
  const kafka = kafkaCluster()
  const { topic, byJava } = await fillTopic('fleet-takeover', 2_000, { partitions: 4 })
  const fleet = await makeFleet(kafka, {
    ...{ stream: uniqueName('takeover'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
    flows: [{ topic, outputs: ['postgres append', 'postgres upsert', 'files'] }],
    ...{ recordsPerBatch: 1_000, recordsPerTask: 100, isHeld: true },
  })
  await using redis = await startRedis({ own: true })
  const executors = [1, 2, 3].map(() => startExecutor(fleet, redis.address))
  const first = startDriver(fleet, redis.address)
  await Promise.all(executors.map(executor => executor.says('held 1')))
  first.signal('SIGKILL')
  await first.ended

  const second = startDriver(fleet, redis.address, ['--until', 'latest', '--steal'])
  // Their only threads were held by tasks of the first epoch; nobody opened the gate for those.
  await Promise.all(executors.map(executor => executor.says('held 2')))
  expect(await stateOf(fleet)).toMatchObject({ epoch: 2, lastBatchId: 0, pending: { id: 1 } })
  openGate(fleet.folder)
  expect(await second.ended).toMatchObject({ code: 0 })
  await drain(...executors)
  const differences = await compareFleet(fleet, kafka, new Map([[topic, byJava]]))
  expect(Object.fromEntries(differences)).toEqual({
    ...{ 'postgres append': NO_DIFFERENCE, 'postgres upsert': NO_DIFFERENCE, files: NO_DIFFERENCE },
  })
})
