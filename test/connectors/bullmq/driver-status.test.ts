import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { memorySource } from '../../../src/testing/index.ts'
import { tidemark } from '../../src/cli/tidemark-process.ts'
import { DriverWorld, groups, runAll } from './driver-world.ts'

const job = fileURLToPath(new URL('./driver-job.ts', import.meta.url))

test('status lists executors and drivers, by the Redis alone', async () => {
  const world = new DriverWorld()
  const server = await world.server(2)
  const run = await world.driver()
  await runAll(run, groups(5, { epoch: 7, batchId: 3 }))
  const ended = runAll(run, groups(1, { topic: 'hold', epoch: 7, batchId: 4 }))
  await world.untilNoted('begin', 1)
  await world.untilLooked(2)
  const url = `${world.url}?prefix=${world.prefix}`
  const { code, stdout } = await tidemark(['status', job, '--executors', url])
  expect(code).toBe(0)
  expect(stdout).toMatch(
    new RegExp(`executor +slots +running +done +failed +seen +up +state\\n${server.id} +2 +1 +5 +0 +\\d+ s +\\d+ s +ready\\n`),
  )
  expect(stdout).toMatch(/driver of +epoch +batch +ranges left +host +seen\nfleet +7 +4 +1 +\S+:\d+ +\d+ s\n/)

  const asked = await tidemark(['status', job, '--json'], { env: { TIDEMARK_EXECUTORS: url } })
  expect(JSON.parse(asked.stdout)).toMatchObject({
    ...{ v: 1, job: 'fleet' },
    executors: [
      { id: server.id, slots: 2, state: 'ready', tasks: { running: 1, completed: 5, failed: 0 }, silentForMs: expect.any(Number) },
    ],
    runs: [{ stream: 'fleet', epoch: 7, batchId: 4, groupsLeft: 1, pid: process.pid }],
  })
  world.letGo()
  await ended
})

test('status says what differs in an executor that waits, and that nobody is there where that is so', async () => {
  const world = new DriverWorld()
  const url = `${world.url}?prefix=${world.prefix}`
  const nobody = await tidemark(['status', job, '--executors', url])
  expect(nobody).toMatchObject({ code: 0, stdout: expect.stringMatching(/No executor of fleet is there.*\n\nNo driver gives out tasks/) })

  const other = stream({ name: 'fleet', log: silentLog })
  other.from(memorySource({ topics: { orders: 1 } })).forEachRange(async () => {})
  const server = await world.server(1, other)
  const { stdout } = await tidemark(['status', job, '--executors', url])
  expect(stdout).toMatch(new RegExp(`${server.id} .* waits: its job differs in its outputs or their stages`))
})

test('status without an address says how to give one, and one that cannot be reached is told without its password', async () => {
  const without = await tidemark(['status', job])
  expect(without).toMatchObject({ code: 2, stderr: expect.stringMatching(/--executors redis:\/\/host:6379, or set TIDEMARK_EXECUTORS/) })
  const away = await tidemark(['status', job, '--executors', 'redis://me:hidden-word@127.0.0.1:1'])
  expect(away).toMatchObject({ code: 1, stderr: expect.stringMatching(/Redis at 127\.0\.0\.1:1 cannot be reached/) })
  expect(away.stderr).not.toContain('hidden-word')
})
