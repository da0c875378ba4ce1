import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'

const RECORDS = 300
let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('cli'), { partitions: 2 })
  const messages = Array.from({ length: RECORDS }, (_, id) => ({ partition: id % 2, value: JSON.stringify({ id }) }))
  await sendMessages(topic, messages)
})

/** A job in a folder of its own, which is where the command runs. */
function jobFolder(of = topic, rest = 'limits: { maxRecordsPerBatch: 100 }, batchIntervalMs: 0'): string {
  const folder = temporaryFolder()
  const brokers = JSON.stringify(kafkaCluster().brokers)
  writeJob(
    folder,
    'orders.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { json, kafkaSource } from 'tidemark/kafka'
export default stream({ name: 'orders', ${rest} })
  .from(kafkaSource({ kafka: { brokers: ${brokers} }, topics: ['${of}'] }))
  .map(json<{ id: number }>())
  .to(jsonlSink({ directory: 'out' }))`,
  )
  return folder
}

describe('before the first run', () => {
  test('plan and offsets show tell what is there, and make no store', async () => {
    const cwd = jobFolder()
    const plan = await tidemark(['plan', 'orders.ts'], { cwd })
    expect(plan).toMatchObject({ code: 0, stderr: '' })
    expect(
      plan.stdout
        .replaceAll(topic, 'topic')
        .split('\n')
        .map(line => line.replace(/ +/g, ' ')),
    ).toEqual([
      'orders: batch 1 would read 100 offsets and leave 200.',
      'task partition from until offsets',
      '0 topic/0 0 50 50',
      '1 topic/1 0 50 50',
      '',
    ])
    const shown = await tidemark(['offsets', 'show', 'orders.ts'], { cwd })
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    expect(shown.stdout).toContain('orders: epoch 0, last batch 0, never started')
    expect(shown.stdout).toMatch(new RegExp(`^${topic}/1 +- +0 +150 +150$`, 'm'))
    expect(shown.stdout).toMatch(/^total +300$/m)
    expect(readdirSync(cwd)).toEqual(['orders.ts'])
  })

  test('--json gives one line of version 1', async () => {
    const cwd = jobFolder()
    const [plan, shown] = await Promise.all([
      tidemark(['plan', 'orders.ts', '--json'], { cwd }),
      tidemark(['offsets', 'show', 'orders.ts', '--json'], { cwd }),
    ])
    expect(JSON.parse(plan.stdout)).toMatchObject({
      v: 1,
      stream: 'orders',
      pending: null,
      next: { id: 1, lagAfter: 200, ranges: [{ topic, partition: 0, fromOffset: 0, untilOffset: 50 }, { partition: 1 }] },
    })
    expect(JSON.parse(shown.stdout)).toMatchObject({
      v: 1,
      stream: 'orders',
      streamId: null,
      epoch: 0,
      lastBatchId: 0,
      pending: null,
      partitions: [{ topic, partition: 0, earliest: 0, latest: 150, lag: 150 }, { partition: 1 }],
    })
    expect(readdirSync(cwd)).toEqual(['orders.ts'])
  })
})

describe('run --until latest', () => {
  test('reads what is there, into the store beside the job, with the log on stderr and the result on stdout', async () => {
    const cwd = jobFolder()
    const { code, stdout, stderr } = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'orders: done, 300 records in 3 batches\n' })
    const log = stderr
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(log.map(({ msg }) => msg)).toEqual([
      'stream started',
      'starting points written',
      ...['batch completed', 'batch completed', 'batch completed'],
      'stream stopped',
    ])
    expect(log[2]).toMatchObject({ stream: 'orders', batch: 1, records: 100, lag: 200, ranges: 2 })
    expect(existsSync(join(cwd, 'orders.offsets.db'))).toBe(true)

    const shown = await tidemark(['offsets', 'show', 'orders.ts'], { cwd })
    expect(shown.stdout).toMatch(/^orders: epoch 1, last batch 3$/m)
    expect(shown.stdout).toMatch(new RegExp(`^${topic}/0 +150 +0 +150 +0$`, 'm'))
    const plan = await tidemark(['plan', 'orders.ts'], { cwd })
    expect(plan.stdout).toBe('orders: nothing to read; batch 4 would be next.\n')
  })

  test('--json prints the summary alone, and a second run has nothing to do', async () => {
    const cwd = jobFolder()
    const first = await tidemark(['run', 'orders.ts', '--until', 'latest', '--json'], { cwd })
    expect(first.code).toBe(0)
    expect(JSON.parse(first.stdout)).toMatchObject({ v: 1, stream: 'orders', reason: 'done', batches: 3, records: 300 })
    const second = await tidemark(['run', 'orders.ts', '--until', 'latest', '--json', '--progress'], { cwd })
    expect(JSON.parse(second.stdout)).toMatchObject({ v: 1, stream: 'orders', reason: 'done', batches: 0, records: 0 })
  })

  test('--store names another store, and so does TIDEMARK_STORE', async () => {
    const cwd = jobFolder()
    const named = await tidemark(['run', 'orders.ts', '--until', 'latest', '--store', 'sqlite:named.db'], { cwd })
    expect(named).toMatchObject({ code: 0 })
    const shown = await tidemark(['offsets', 'show', 'orders.ts', '--json'], { cwd, env: { TIDEMARK_STORE: 'sqlite:named.db' } })
    expect(JSON.parse(shown.stdout)).toMatchObject({ epoch: 1, lastBatchId: 3 })
    expect(readdirSync(cwd).filter(name => name.endsWith('.db'))).toEqual(['named.db'])
  })

  test('ends although the job leaves something open', async () => {
    const cwd = temporaryFolder()
    writeJob(
      cwd,
      'open.ts',
      `import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
setInterval(() => {}, 1000)
export default stream({ name: 'open' })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['${topic}'] }))
  .forEachBatch(rows => console.log(rows.length))`,
    )
    const ended = await tidemark(['run', 'open.ts', '--until', 'latest'], { cwd })
    expect(ended).toMatchObject({ code: 0, stdout: '300\nopen: done, 300 records in 1 batch\n' })
  })
})

describe('a failure', () => {
  test('of a topic that is not there ends with 2 and its name', async () => {
    const missing = uniqueName('missing')
    const cwd = jobFolder(missing)
    const { code, stdout, stderr } = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^tidemark: Topic ${missing} does not exist on `, 'm'))
    expect(stderr).not.toMatch(/^\s+at |\\n\s+at /m)
  })

  test('on a record that is no JSON names its place and stage, and the batch stays begun', async () => {
    const poisoned = await createTopic(uniqueName('poison'))
    await sendMessages(poisoned, [{ value: '{"id":1}' }, { value: '{"id":2}' }, { value: '{"id":' }, { value: '{"id":4}' }])
    const cwd = jobFolder(poisoned)
    const { code, stdout, stderr } = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    const sentence = `tidemark: map (json) failed on the record at ${poisoned}/0 offset 2 (batch 1): the value is not JSON: `
    expect(stderr.split('\n').filter(line => !line.startsWith('{'))[0]).toContain(sentence)

    const shown = await tidemark(['offsets', 'show', 'orders.ts'], { cwd })
    expect(shown.stdout).toContain('orders: epoch 1, last batch 0')
    expect(shown.stdout).toMatch(/Batch 1 \(\d{4}-.*Z\) is begun and not committed; the next run replays it as it is:\n/)
    expect(shown.stdout).toMatch(new RegExp(`^0 +${poisoned}/0 +0 +4 +4$`, 'm'))
    expect(JSON.parse((await tidemark(['plan', 'orders.ts', '--json'], { cwd })).stdout)).toMatchObject({
      pending: { id: 1 },
      next: { id: 2, ranges: [] },
    })
  })
})
