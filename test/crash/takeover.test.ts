import { expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { createTopic, sendMessages, uniqueName } from '../support/kafka.ts'
import { waitUntil } from '../support/services/wait-until.ts'
import { checkOutcome, readByJava, snapshotOf } from './check-outcome.ts'
import { startDriver } from './crash-driver.ts'

async function makeTopic(count: number): Promise<string> {
  const topic = await createTopic(uniqueName('takeover'), { partitions: 2 })
  await send(topic, count)
  return topic
}

function send(topic: string, count: number): Promise<void> {
  return sendMessages(
    topic,
    Array.from({ length: count }, (_, id) => ({ partition: id % 2, key: `k${id}`, value: JSON.stringify({ id }) })),
  )
}

/** Resolves when the stream has committed this many offsets in all. */
function hasCommitted(folder: string, count: number): Promise<void> {
  return waitUntil(`${count} committed offsets`, async () => {
    const { offsets } = await snapshotOf(folder)
    return offsets.reduce((sum, { offset }) => sum + offset, 0) === count
  })
}

test('a second driver stands by, and goes on where the first was killed as soon as its lease has ended', async () => {
  const ttlMs = 1_500
  const topic = await makeTopic(300)
  const options = { folder: temporaryFolder(), topics: [topic], ttlMs }
  const first = startDriver(options)
  await first.says('"batch completed"', 3)
  const second = startDriver(options)
  await second.says('standing by: ')
  await send(topic, 300)
  await hasCommitted(options.folder, 600)
  expect(second.stderr).not.toContain('stream started')

  const killedAt = performance.now()
  first.signal('SIGKILL')
  await second.says('stream started')
  const tookMs = performance.now() - killedAt
  // It asks four times a ttl; the rest is for the asking itself on a busy machine.
  expect(tookMs).toBeLessThan(ttlMs * 1.25 + 1_000)
  await send(topic, 200)
  const byJava = await readByJava([topic])
  await hasCommitted(options.folder, 800)
  second.signal('SIGTERM')
  expect(await second.ended).toMatchObject({ code: 0, stdout: expect.stringContaining('crash: stopped, 200 records') })
  await checkOutcome(options.folder, byJava)
})

test('--steal takes the stream over at once, and the driver before stops as fenced when it next renews', async () => {
  const ttlMs = 1_500
  const topic = await makeTopic(300)
  const options = { folder: temporaryFolder(), topics: [topic], ttlMs }
  const first = startDriver(options)
  await hasCommitted(options.folder, 300)

  const second = startDriver(options, '--steal')
  await second.says('stream started')
  const stolenAt = performance.now()
  expect(await first.ended).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('Another driver took over') })
  expect(performance.now() - stolenAt).toBeLessThan(ttlMs / 3 + 1_000)

  await send(topic, 100)
  await hasCommitted(options.folder, 400)
  second.signal('SIGINT')
  expect(await second.ended).toMatchObject({ code: 0 })
  expect((await snapshotOf(options.folder)).epoch).toBe(2)
  await checkOutcome(options.folder, await readByJava([topic]))
})
