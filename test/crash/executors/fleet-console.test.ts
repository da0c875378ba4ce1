import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { comparePlaces } from '../../support/compare-places.ts'
import { kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { services } from '../../support/services.ts'
import { fillTopic } from './fill-topic.ts'
import { drain, startDriver, startExecutor } from './fleet-processes.ts'
import { makeFleet, readFleetOutput } from './make-fleet.ts'

test('what executors print is all there, also of those that were killed before, after and inside a task', async () => {
  const { topic, byJava } = await fillTopic('fleet-console', 1_500)
  const fleet = await makeFleet(kafkaCluster(), {
    ...{ stream: uniqueName('console'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
    flows: [{ topic, outputs: ['console'] }],
    ...{ recordsPerBatch: 400, recordsPerTask: 50 },
  })
  await using redis = await startRedis({ own: true })
  const struck = ['before write 2', 'after write 3', 'after rows 1'].map(at => startExecutor(fleet, redis.address, `kill ${at}`))
  const driver = startDriver(fleet, redis.address)
  let stdout = ''
  for (const executor of struck) {
    const ended = await executor.ended
    expect(ended).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining('struck') })
    stdout += `${ended.stdout}\n`
  }
  const last = startExecutor(fleet, redis.address)
  expect(await driver.ended).toMatchObject({ code: 0 })
  await drain(last)
  stdout += (await last.ended).stdout

  const [output] = fleet.flows[0]?.outputs ?? []
  const written = output === undefined ? [] : await readFleetOutput(fleet, kafkaCluster(), topic, output, stdout)
  // Killed behind its rows, a task prints them again: the console promises no more.
  expect(comparePlaces(written, byJava)).toMatchObject({ lost: 0, foreign: 0, doubled: expect.toSatisfy((doubled: number) => doubled > 0) })
})
