import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { DeadLetter } from '../../src/core/dead-letters/dead-letter.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { createTopic, kafkaClient, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { services } from '../support/services.ts'

const VALUES = Array.from({ length: 60 }, (_, id) => (id % 10 === 3 ? `broken ${id}` : JSON.stringify({ id })))
const BAD = [3, 13, 23, 33, 43, 53]
let client: pg.Client

beforeAll(async () => {
  client = new pg.Client(services().postgres)
  await client.connect()
  return () => client.end()
})

/** How a job says where its letters go. */
const SINKS = {
  postgres: (name: string) =>
    `postgresSink({ connectionString: '${services().postgres}', table: '${name}_letters', schema: '${name}_ledger' })`,
  kafka: (name: string) => `kafkaSink({ kafka, topic: '${name}-letters', ledgerTopic: '${name}-ledger' })`,
  files: () => `jsonlSink({ directory: 'letters' })`,
} as const

async function world(kind: keyof typeof SINKS) {
  const cwd = temporaryFolder()
  const topic = await createTopic(uniqueName('letters'), { partitions: 1 })
  const name = uniqueName('letters').replaceAll('-', '_')
  if (kind === 'kafka') await createTopic(`${name}-letters`, { partitions: 2 })
  await sendMessages(
    topic,
    VALUES.map((value, id) => ({ partition: 0, key: `k${id}`, value, headers: { at: String(id) } })),
  )
  await client.query(`create table ${name} (id int not null)`)
  await client.query(`create table ${name}_even (id int not null)`)
  onTestFinished(async () => void (await client.query(`drop table ${name}, ${name}_even`)))
  writeFileSync(join(cwd, 'mended.json'), '[]')
  writeJob(
    cwd,
    'orders.ts',
    `import { readFileSync } from 'node:fs'
import { deadLetter, stream } from 'tidemark'
import { kafkaSink, kafkaSource } from 'tidemark/kafka'
import { jsonlSink } from 'tidemark/files'
import { postgresSink } from 'tidemark/postgres'
const kafka = { brokers: ${JSON.stringify(kafkaCluster().brokers)}, logLevel: 0 }
// What the mended job understands.
const mended = JSON.parse(readFileSync('mended.json', 'utf8'))
const table = name => postgresSink({ connectionString: '${services().postgres}', table: name, schema: '${name}_ledger' })
const letters = ${SINKS[kind](name)}
const job = stream({ name: 'orders', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 25 }, onRecordError: deadLetter(letters) })
const orders = job.from(kafkaSource({ kafka, topics: ['${topic}'] })).map(function parse({ value }) {
  const text = value.toString()
  const id = Number(text.replace('broken ', ''))
  return text.startsWith('broken') && mended.includes(id) ? { id } : JSON.parse(text)
})
orders.to(table('${name}'), { name: 'all' })
export default orders
  .filter(function even({ id }) {
    if (id === 44 && !mended.includes(44)) throw new Error('not this one')
    return id % 2 === 0
  })
  .to(table('${name}_even'), { name: 'even' })
`,
  )
  const idsOf = async (of: string) => (await client.query(`select id from ${of} order by id`)).rows.map(({ id }) => id as number)
  return {
    ...{ name, topic, cwd },
    mend: (...ids: number[]) => writeFileSync(join(cwd, 'mended.json'), JSON.stringify(ids)),
    run: (...args: string[]) => tidemark(args, { cwd }),
    ids: () => idsOf(name),
    evens: () => idsOf(`${name}_even`),
    letters: async (...args: string[]) => {
      const shown = await tidemark(['deadletters', 'show', 'orders.ts', '--json', ...args], { cwd })
      expect(shown).toMatchObject({ code: 0 })
      return JSON.parse(shown.stdout) as { total: number; letters: (DeadLetter & { replayed: boolean })[] }
    },
  }
}

const allBut = (...gone: number[]) => VALUES.map((_, id) => id).filter(id => !gone.includes(id))
const isEven = (id: number) => id % 2 === 0

describe.each(Object.keys(SINKS) as (keyof typeof SINKS)[])('letters in %s', kind => {
  test('are shown, and run again once each, also when Kafka has the records no more; what fails again is a letter of the replay', async () => {
    const here = await world(kind)
    if (kind === 'postgres') {
      const refused = await here.run('run', 'orders.ts', '--until', 'latest')
      expect(refused.code).toBe(2)
      const suggested = /create table \S+ \(\n[\s\S]*?\n\)/.exec(refused.stderr)?.[0] ?? ''
      await client.query(suggested)
      onTestFinished(async () => void (await client.query(`drop table ${here.name}_letters`)))
    }
    expect(await here.run('run', 'orders.ts', '--until', 'latest')).toMatchObject({ code: 0 })
    expect(await here.ids()).toEqual(allBut(...BAD))
    expect(await here.evens()).toEqual(allBut(44).filter(isEven))

    const { total, letters } = await here.letters()
    expect(total).toBe(7)
    expect(letters.map(({ record_offset, stage, outputs, replayed }) => [record_offset, stage, outputs, replayed])).toEqual([
      ...[3, 13, 23, 33, 43].map(offset => [offset, 'map (parse)', '["all","even"]', false]),
      [44, 'filter (even)', '["even"]', false],
      [53, 'map (parse)', '["all","even"]', false],
    ])
    expect(letters[0]).toMatchObject({ key_text: 'k3', value_text: 'broken 3', topic: here.topic, error_name: 'SyntaxError', batch: 1 })
    expect(JSON.parse(letters[0]?.headers ?? '')).toEqual([['at', Buffer.from('3').toString('base64')]])
    expect((await here.letters('--batch', '2', '--limit', '1')).letters.map(({ record_offset }) => record_offset)).toEqual([44])
    expect((await here.letters('--stage', 'filter (even)')).total).toBe(1)
    expect((await here.run('deadletters', 'show', 'orders.ts')).stdout).toMatch(/7 dead letters\nbatch +partition +offset[\s\S]*broken 3/)

    const admin = kafkaClient().admin()
    await admin.connect()
    await admin.deleteTopics({ topics: [here.topic] })
    await admin.disconnect()

    expect(await here.run('deadletters', 'replay', 'orders.ts', '--dry-run')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('7 dead letters of batches 1 to 3 would run again as orders~letters'),
    })
    here.mend(3, 13, 23, 44)
    const replayed = await here.run('deadletters', 'replay', 'orders.ts', '--yes', '--json')
    expect(replayed).toMatchObject({ code: 0 })
    expect(JSON.parse(replayed.stdout)).toMatchObject({ records: 7, deadLetters: 3, rowsByOutput: { all: 3, even: 1 } })
    expect(await here.ids()).toEqual(allBut(33, 43, 53))
    expect(await here.evens()).toEqual(allBut().filter(isEven))

    expect(await here.run('deadletters', 'replay', 'orders.ts', '--yes')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/no dead letters since batch 3/),
    })
    expect((await here.letters()).letters.every(letter => letter.replayed)).toBe(true)
    const again = await here.letters('--stream', 'orders~letters')
    expect(again.letters.map(({ record_offset, outputs, topic }) => [record_offset, outputs, topic])).toEqual(
      [33, 43, 53].map(offset => [offset, '["all","even"]', here.topic]),
    )
    here.mend(33, 43, 53)
    expect(await here.run('deadletters', 'replay', 'orders.ts', '--stream', 'orders~letters', '--yes')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/orders~letters-2: done, 3 records gave 3 rows; none failed again/),
    })
    expect(await here.ids()).toEqual(allBut())
    expect(await here.evens()).toEqual(allBut().filter(isEven))
  })
})

test('a job without dead letters says how to have them', async () => {
  const cwd = temporaryFolder()
  writeJob(
    cwd,
    'plain.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { memorySource } from 'tidemark/testing'
export default stream({ name: 'plain' }).from(memorySource({ topics: {} })).to(jsonlSink({ directory: 'out' }))
`,
  )
  expect(await tidemark(['deadletters', 'show', 'plain.ts'], { cwd })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('onRecordError: deadLetter(sink)'),
  })
})
