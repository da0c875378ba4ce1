import { Cluster, Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { bullmq, serveTasks } from '../../../connectors/bullmq/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { group } from '../../../src/testing/executor/contract.ts'
import contractJob, { contractDoor } from '../../../src/testing/executor/contract-job.ts'
import { makeFolder } from '../../../src/testing/executor/notes.ts'
import { startRedisCluster } from '../../support/services/start-redis-cluster.ts'
import { services } from '../../support/services.ts'

/** Driver and executor over one client of the caller's. */
async function runOne(client: Redis | Cluster, stream: string): Promise<number | undefined> {
  makeFolder(stream)
  const over = new AbortController()
  await using _ = await serveTasks(contractJob, { client, prefix: stream, executor: inProcess(), slots: 2 })
  const run = await bullmq({ client, prefix: stream }).start(contractDoor.runnable({ stream }), {
    streamId: stream,
    log: silentLog,
    signal: over.signal,
  })
  try {
    const [result] = await run.run(group(stream), { signal: over.signal })
    return result?.rows
  } finally {
    over.abort(new Error('the run is over'))
    await run.close()
  }
}

test('the client of the caller is used for what is short, and stays open', async ({ onTestFinished }) => {
  const client = new Redis(services().redis)
  onTestFinished(() => client.disconnect())
  expect(await runOne(client, `client-${process.pid}-${Date.now()}`)).toBe(10)
  expect(await client.ping()).toBe('PONG')
})

test('all of a job is on one node of a Redis Cluster', async ({ onTestFinished }) => {
  const cluster = await startRedisCluster()
  onTestFinished(() => cluster.close())
  const client = new Cluster([...cluster.startupNodes])
  onTestFinished(() => client.disconnect())
  expect(await runOne(client, `cluster-${process.pid}-${Date.now()}`)).toBe(10)
  expect(await client.ping()).toBe('PONG')
})
