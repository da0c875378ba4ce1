import { beforeAll, expect, test } from 'vitest'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { TidemarkProcess, tidemark } from '../src/cli/tidemark-process.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { produce } from '../support/produce.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { services } from '../support/services.ts'
import { outOf, placesByJava, placesIn, writePlacesJob } from './files-of-places.ts'

let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('copy'), { partitions: 3 })
})

/** URLs of stores that nobody else uses. The password is one that the server does not ask for. */
function stores(): { zookeeper: string; postgres: string } {
  const schema = uniqueName('copy').replaceAll('-', '_')
  const postgres = services().postgres.replace(/^postgres:\/\/([^@:]+)@/, 'postgres://$1:s3cret@')
  expect(postgres).toContain(':s3cret@')
  return { zookeeper: `zookeeper://${services().zookeeper}/${uniqueName('copy')}`, postgres: `${postgres}?tidemark_schema=${schema}` }
}

test('a stream moves from ZooKeeper to Postgres under a driver that runs, with a batch begun, and nothing is lost or doubled', async () => {
  const cwd = temporaryFolder()
  writePlacesJob(cwd, topic, { batch: 300, options: 'leaseTtlMs: 2_000' })
  const { zookeeper, postgres } = stores()
  await produce(kafkaCluster(), { topic, count: 1_200, keys: true })

  // Batches 1 and 2 are committed; of batch 3 the files of two partitions are there, and the third is never ready.
  const driver = new TidemarkProcess(['run', 'orders.ts', '--store', zookeeper], { cwd, env: { HANG_AT: '250' } })
  await waitUntil('files of batch 3', async () => (await listJsonlFiles(outOf(cwd))).filter(file => file.batchId === 3).length === 2)
  const copied = await tidemark(['offsets', 'copy', 'orders.ts', '--store', zookeeper, '--to', postgres, '--yes'], { cwd })
  expect(copied).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('batch 3 begun, which goes with it') })
  expect(copied.stdout).toContain('a driver that runs now stops with FencedError')
  expect(await driver.ended).toMatchObject({ code: 4 })
  const before = await tidemark(['offsets', 'history', '--stream', 'orders', '--store', zookeeper, '--limit', '1000', '--json'], { cwd })
  const after = await tidemark(['offsets', 'history', '--stream', 'orders', '--store', postgres, '--limit', '1000', '--json'], { cwd })
  expect(JSON.parse(after.stdout)).toEqual(JSON.parse(before.stdout))

  await produce(kafkaCluster(), { topic, count: 500, firstId: 1_200, keys: true })
  const old = await tidemark(['run', 'orders.ts', '--store', zookeeper, '--until', 'latest'], { cwd })
  expect(old).toMatchObject({ code: 1, stderr: expect.stringContaining('orders was retired and can only be read: moved to postgres://') })
  expect(await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd, env: { TIDEMARK_STORE: postgres } })).toMatchObject({ code: 0 })
  expect(await placesIn(outOf(cwd))).toEqual(await placesByJava(topic))

  for (const { stdout, stderr } of [copied, old, before, after]) expect(stdout + stderr).not.toContain('s3cret')
  const streams = await tidemark(['streams', '--store', zookeeper], { cwd })
  expect(streams.stdout).toContain('moved to postgres://')
  expect(streams.stdout).not.toContain('s3cret')
})
