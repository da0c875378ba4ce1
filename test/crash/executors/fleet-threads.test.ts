import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { NO_DIFFERENCE } from '../../support/compare-places.ts'
import { kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { services } from '../../support/services.ts'
import { fillTopic } from './fill-topic.ts'
import { driverCommand } from './fleet-commands.ts'
import { compareFleet, makeFleet } from './make-fleet.ts'
import { startFleetCommand } from './start-fleet-command.ts'

test('threads that end themselves inside one task in seven cost nothing but time', async () => {
  const kafka = kafkaCluster()
  const [sliced, ordered] = await Promise.all([fillTopic('threads-sliced', 8_000), fillTopic('threads-ordered', 4_000)])
  const folder = join(temporaryFolder(), 'fleet')
  const fleet = await makeFleet(kafka, {
    ...{ stream: uniqueName('threads'), folder, postgres: services().postgres },
    flows: [
      { topic: sliced.topic, outputs: ['postgres append', 'files'] },
      { topic: ordered.topic, outputs: ['postgres upsert', 'each'] },
    ],
    ...{ recordsPerBatch: 3_000, recordsPerTask: 250, exitEvery: 7 },
  })
  expect(await startFleetCommand(driverCommand(fleet, '--until', 'latest', '--threads', '2')).ended).toMatchObject({ code: 0 })

  const exited = (await readdir(folder)).filter(name => name.startsWith('exited-'))
  expect(exited.length).toBeGreaterThanOrEqual(8)
  const { each, ...exact } = Object.fromEntries(
    await compareFleet(fleet, kafka, new Map([sliced, ordered].map(({ topic, byJava }) => [topic, byJava]))),
  )
  expect(exact).toEqual({ 'postgres append': NO_DIFFERENCE, 'postgres upsert': NO_DIFFERENCE, files: NO_DIFFERENCE })
  expect(each).toMatchObject({ lost: 0, foreign: 0 })
})
