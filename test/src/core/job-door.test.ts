import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { doorOf, importJob, isExecuting } from '../../../src/core/job-door.ts'
import { stream } from '../../../src/index.ts'
import { collectingSink, memorySource } from '../../../src/testing/index.ts'

const ENGINE = new URL('../../../src/index.ts', import.meta.url).href
const TESTING = new URL('../../../src/testing/index.ts', import.meta.url).href

/** A job module beside nothing else. In `body`, `job(name)` declares a job with one output. */
function moduleOf(body: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tidemark-door-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'job.ts')
  const head = [
    `import { FencedError, stream } from '${ENGINE}'`,
    `import { collectingSink, memorySource } from '${TESTING}'`,
    "const job = (name: string) => stream({ name }).from(memorySource({ topics: { t: 1 } })).to(collectingSink({ name: 'out' }))",
  ]
  writeFileSync(path, [...head, body].join('\n'))
  return pathToFileURL(path).href
}

test('a job is found by its name, whatever it is exported as', async () => {
  const module = moduleOf("export default job('first')\nexport const second = job('second')\nexport const other = 5, nothing = null")
  for (const name of ['first', 'second']) {
    const door = await importJob(module, name)
    expect(door.name).toBe(name)
    expect([...door.runnable().outputs.keys()]).toEqual(['out'])
  }
})

test('a door gives the job under the name of a run, with the outputs of it, and says where it comes from', async () => {
  const module = moduleOf("export default job('orders')")
  const { runnable } = await importJob(module, 'orders')
  const { stream: name, origin, outputs } = runnable({ stream: 'orders~replay-1', outputs: ['out'] })
  expect(name).toBe('orders~replay-1')
  expect(origin).toEqual({ name: 'orders', module, shape: expect.any(String), targets: ['output out', 'source memory'] })
  expect(outputs.size).toBe(1)
  expect(() => runnable({ outputs: ['nowhere'] })).toThrow(/no output nowhere/)
})

test('a job that is not exported is refused with the line to add', async () => {
  await expect(importJob(moduleOf("job('orders')\nexport default job('other')"), 'orders')).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringMatching(/exports no job named orders\..*export default stream\({ name: 'orders'/s),
    details: { name: 'orders' },
  })
})

test('a module that does not load is refused with the reason', async () => {
  await expect(importJob(moduleOf("throw new TypeError('no DATABASE_URL')"), 'orders')).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringMatching(/job\.ts failed while a thread or an executor loaded it for job orders: no DATABASE_URL/),
    cause: expect.objectContaining({ message: 'no DATABASE_URL' }),
  })
  await expect(importJob(pathToFileURL(join(tmpdir(), 'there-is-no-such-job.ts')).href, 'orders')).rejects.toMatchObject({ code: 'JOB' })
})

test('an error of ours that a module throws is told as it is', async () => {
  await expect(importJob(moduleOf("throw new FencedError('mine')"), 'orders')).rejects.toMatchObject({ code: 'FENCED', message: 'mine' })
})

test('a module that starts its job is told that it would do so in every thread, and how not to', async () => {
  const module = moduleOf("const orders = job('orders')\nawait orders.start()\nexport default orders")
  await expect(importJob(module, 'orders')).rejects.toMatchObject({
    code: 'JOB',
    message: expect.stringMatching(/Stream orders is started by its own module.*if \(import\.meta\.main\) await job\.start\(\)/s),
  })
  expect(isExecuting()).toBe(true)
})

test('only a job has a door', () => {
  const job = stream({ name: 'orders' }).from(memorySource()).to(collectingSink())
  expect(doorOf(job)?.name).toBe('orders')
  for (const other of [undefined, null, 'orders', 5, {}, () => job]) expect(doorOf(other)).toBeUndefined()
})
