import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { kafkaCluster, uniqueName } from '../../support/kafka.ts'
import type { Service } from '../../support/services/service.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { services } from '../../support/services.ts'
import { destinationState } from '../matrix/destination-state.ts'
import { type FilledTopic, fillTopic } from './fill-topic.ts'
import { drain, startDriver, startExecutor } from './fleet-processes.ts'
import { makeFleet, readFleetOutput } from './make-fleet.ts'
import { asMatrix, type FleetOutput, type FleetStream } from './plan.ts'

const RECORDS = 1_000
/** In one batch the zombie wakes behind its commit, and only the ledger knows; of several, later ones have raised the fence as well. */
const BATCHES = { one: RECORDS * 2, several: 200 }
const CASES: readonly { readonly output: FleetOutput['kind']; readonly at: string; readonly batches: keyof typeof BATCHES }[] = [
  { output: 'postgres append', at: 'before ledger', batches: 'one' },
  { output: 'postgres append', at: 'before ledger', batches: 'several' },
  { output: 'postgres append', at: 'after ledger', batches: 'one' },
  { output: 'postgres upsert', at: 'before ledger', batches: 'one' },
  { output: 'files', at: 'before rename', batches: 'several' },
  { output: 'files', at: 'after rename', batches: 'one' },
]

let topic: FilledTopic
let redis: Service
beforeAll(async () => {
  topic = await fillTopic('fleet-zombies', RECORDS)
  redis = await startRedis({ own: true })
})
afterAll(() => redis.close())

describe('an executor that stops inside a write, and wakes when another has done its task and the batch is committed, changes nothing', () => {
  test.for(CASES)('in $output, $at, in the first of $batches', async ({ output: kind, at, batches }) => {
    const fleet = await makeFleet(kafkaCluster(), {
      ...{ stream: uniqueName('zombies'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
      recordsPerBatch: BATCHES[batches],
      flows: [{ topic: topic.topic, outputs: [kind] }],
    })
    const zombie = startExecutor(fleet, redis.address, `stop ${at} 1`)
    const driver = startDriver(fleet, redis.address)
    await zombie.says('struck')
    const other = startExecutor(fleet, redis.address)
    expect(await driver.ended).toMatchObject({ code: 0 })

    const [output] = fleet.flows.flatMap(({ outputs }) => outputs) as [FleetOutput]
    expect((await readFleetOutput(fleet, kafkaCluster(), topic.topic, output)).sort()).toEqual(topic.byJava)
    const look = () => stateOf(fleet, output)
    const before = await look()
    zombie.wake()
    await drain(zombie, other)
    expect(await look()).toEqual(before)
  })
})

/** All that the destination has. Of a file not its inode: the same rows may be put in place under the same name again. */
async function stateOf(fleet: FleetStream, output: FleetOutput): Promise<unknown> {
  if (output.kind !== 'files') return destinationState(asMatrix(fleet, topic.topic, output), kafkaCluster())
  const files = await listJsonlFiles(join(fleet.folder, 'rows'))
  return Promise.all(files.map(async ({ path }) => ({ path, text: await readFile(path, 'utf8') })))
}
