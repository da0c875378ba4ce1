import { afterAll, expect, onTestFinished, test } from 'vitest'
import { bullmq, serveTasks } from '../../../connectors/bullmq/index.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import { services } from '../../support/services.ts'
import { openEndpoint, outlast, told } from '../http/outage/outlast.ts'
import { ALL_ROWS } from '../http/outage/rows.ts'

const endpoint = await openEndpoint()
afterAll(() => endpoint.close())

test('an HTTP endpoint that is away for executors turns the health of their driver red, is waited out, and no batch fails', async () => {
  const target = { url: services().redis, prefix: `outage-${systemRandom.id(8)}` }
  const { default: job } = await import('../http/outage/job.ts')
  for (let count = 0; count < 2; count++) {
    const server = await serveTasks(job, { ...target, slots: 2, executor: inProcess() })
    onTestFinished(() => server.stop())
  }
  const { health, failed, batches } = told(await outlast(endpoint, 'answers 503', bullmq(target), 'outage'))
  expect(endpoint.rowsByKey.sort()).toEqual(ALL_ROWS)
  expect(health).toEqual([
    ['red', expect.stringMatching(/is away: 503 Service Unavailable: in maintenance\./)],
    ['green', undefined],
  ])
  expect(batches).toBe(2)
  expect(failed).toMatchObject([{ type: 'streamStopped', reason: 'done' }])
})
