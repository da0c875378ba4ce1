import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { comparePlaces, NO_DIFFERENCE } from '../support/compare-places.ts'
import { kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { services } from '../support/services.ts'
import { fillTopic } from './executors/fill-topic.ts'
import { driverCommand, stateOf } from './executors/fleet-commands.ts'
import { makeFleet, placesByJava, readFleetOutput } from './executors/make-fleet.ts'
import type { FleetOutput, FleetStream } from './executors/plan.ts'
import { startFleetCommand } from './executors/start-fleet-command.ts'

/** Whether a place is before positions; partitions that they lack begin there. */
function isBefore(place: string, positions: ReadonlyMap<number, number>): boolean {
  const [partition = 0, offset = 0] = place.split(':').map(Number)
  return offset < (positions.get(partition) ?? 0)
}

test('outputs that are swapped, added, taken out and put back between runs that are killed have each the records of the batches they were there for', {
  timeout: 300_000,
}, async () => {
  const kafka = kafkaCluster()
  const { topic } = await fillTopic('outputs-change', 1_500)
  const fleet = await makeFleet(kafka, {
    ...{ stream: uniqueName('outputs'), folder: join(temporaryFolder(), 'fleet'), postgres: services().postgres },
    flows: [{ topic, outputs: ['postgres append', 'files', 'postgres upsert'] }],
    ...{ recordsPerBatch: 200, recordsPerTask: 50, leaseTtlMs: 500 },
  })
  const [table, files, added] = (fleet.flows[0]?.outputs ?? []) as [FleetOutput, FleetOutput, FleetOutput]
  const run = (outputs: readonly FleetOutput[], strike = '') => {
    const changed: FleetStream = { ...fleet, flows: [{ topic, outputs }] }
    const { args, env } = driverCommand(changed, '--until', 'latest', '--progress')
    return startFleetCommand({ args, env: { ...env, STRIKE: strike } }).ended
  }
  const killed = { signal: 'SIGKILL', stderr: expect.stringContaining('struck') }
  const positions = async () => new Map((await stateOf(fleet)).offsets.map(({ partition, offset }) => [partition, offset]))

  // Killed when the table has a task of the batch, and swapped.
  expect(await run([table, files], 'kill after ledger 6')).toMatchObject(killed)
  expect(await run([files, table], 'kill before commit 2')).toMatchObject(killed)
  const { pending } = await stateOf(fleet)
  expect(pending, 'a batch is begun').toBeDefined()
  const refused = await run([files])
  expect(refused).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`no longer has its output postgres:${table.target}. Put it back`),
  })
  expect((await stateOf(fleet)).pending).toEqual(pending)

  // The batch that is begun is not the new one's; and then it is in each, in whatever order.
  const grown = await run([added, table, files], 'kill after commit 1')
  expect(grown).toMatchObject({ ...killed, stderr: expect.stringContaining(`get rows from the next batch on: postgres:${added.target}`) })
  const addedFrom = new Map(pending?.ranges.map(({ partition }) => [partition, 0]))
  for (const { partition, untilOffset } of pending?.ranges ?? [])
    addedFrom.set(partition, Math.max(addedFrom.get(partition) ?? 0, untilOffset))
  expect(await run([files, added, table])).toMatchObject({ code: 0 })

  const without = await positions()
  await produce(kafka, { topic, count: 300, firstId: 1_500, keys: true })
  const alone = await run([table])
  expect(alone).toMatchObject({ code: 0, stderr: expect.stringContaining('outputs that are gone: ') })
  const back = await positions()
  await produce(kafka, { topic, count: 300, firstId: 1_800, keys: true })
  expect(await run([added, files, table])).toMatchObject({ code: 0, stderr: expect.stringContaining('get rows from the next batch on: ') })

  const byJava = await placesByJava(kafka, topic)
  const isAway = (place: string) => !isBefore(place, without) && isBefore(place, back)
  const of = (output: FleetOutput) => readFleetOutput(fleet, kafka, topic, output)
  expect(comparePlaces(await of(table), byJava)).toEqual(NO_DIFFERENCE)
  const beside = byJava.filter(place => !isAway(place))
  expect(beside.length).toBeLessThan(byJava.length)
  expect(comparePlaces(await of(files), beside)).toEqual(NO_DIFFERENCE)
  const later = beside.filter(place => !isBefore(place, addedFrom))
  expect(later.length).toBeLessThan(beside.length)
  expect(comparePlaces(await of(added), later)).toEqual(NO_DIFFERENCE)
})
