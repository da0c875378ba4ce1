import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { listJsonlFiles } from '../../../connectors/files/index.ts'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { TidemarkProcess } from '../../src/cli/tidemark-process.ts'
import { writeJob } from '../../src/cli/write-job.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../../support/kafka.ts'
import { startRedis } from '../../support/services/start-redis.ts'
import { drain } from './fleet-processes.ts'

const RECORDS = 400

test('a job that changes is run by executors that have the change; those before it wait, are named, and nothing is lost', async () => {
  const folder = temporaryFolder()
  const topic = await createTopic(uniqueName('deploy'), { partitions: 2 })
  const send = (firstId: number) =>
    sendMessages(
      topic,
      Array.from({ length: RECORDS }, (_, at) => ({ partition: at % 2, value: String(firstId + at) })),
    )
  const deploy = (version: number) => writeJob(folder, 'job.ts', jobSource(topic, version))
  await using redis = await startRedis({ own: true })
  const start = (command: 'run' | 'executor', ...args: string[]) =>
    new TidemarkProcess([command, 'job.ts', '--executors', redis.address, ...args], { cwd: folder })

  deploy(1)
  await send(0)
  const older = start('executor', '--threads', '1')
  expect(await start('run', '--until', 'latest').ended).toMatchObject({ code: 0 })

  deploy(2)
  await send(RECORDS)
  const driver = start('run', '--until', 'latest')
  await driver.says(new RegExp(`${older.child.pid}[^\\n]*its job differs|differs[^\\n]*${older.child.pid}`))
  const newer = start('executor', '--threads', '1')
  expect(await driver.ended).toMatchObject({ code: 0 })
  await drain(older, newer)
  const versions = await versionsIn(folder)
  expect(versions.filter(({ id }) => id < RECORDS)).toEqual(Array.from({ length: RECORDS }, (_, id) => ({ id, version: 1 })))
  expect(versions.filter(({ id }) => id >= RECORDS)).toEqual(Array.from({ length: RECORDS }, (_, at) => ({ id: RECORDS + at, version: 2 })))
})

function jobSource(topic: string, version: number): string {
  return `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { kafkaSource } from 'tidemark/kafka'

export default stream({ name: '${topic}', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 100, maxRecordsPerTask: 20 } })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)}, logLevel: 0 }, topics: ['${topic}'] }))
  .map(({ value }) => ({ id: Number(value), version: ${version} }))
  .to(jsonlSink({ directory: 'rows' }))
`
}

async function versionsIn(folder: string): Promise<{ id: number; version: number }[]> {
  const rows: { id: number; version: number }[] = []
  for (const { path } of await listJsonlFiles(`${folder}/rows`)) {
    const lines = (await readFile(path, 'utf8')).split('\n').filter(Boolean)
    rows.push(...lines.map(line => JSON.parse(line)))
  }
  return rows.sort((a, b) => a.id - b.id)
}
