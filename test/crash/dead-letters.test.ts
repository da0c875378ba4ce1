import pg from 'pg'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { LETTER_FIELDS } from '../../src/core/dead-letters/dead-letter.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { TidemarkProcess } from '../src/cli/tidemark-process.ts'
import { createTopic, kafkaCluster, uniqueName } from '../support/kafka.ts'
import { recordCrc } from '../support/oracle.ts'
import { produce } from '../support/produce.ts'
import { program } from '../support/programs/program.ts'
import { services } from '../support/services.ts'
import { type Row, readByJava } from './check-outcome.ts'

/** The n-th call of all outputs together: two tables and the letters, over three ranges a batch. */
const POINTS = [
  ...['after begin 2', 'before fence 5', 'after fence 6', 'before applied 4'],
  ...[
    'before write 3',
    'after write 3',
    'before write 5',
    'after write 5',
    'before write 10',
    'after write 10',
    'before write 14',
    'after write 18',
  ],
  ...['before commit 1', 'before commit 3', 'after commit 3'],
]

let topic: string
let byJava: readonly Row[]

beforeAll(async () => {
  topic = await createTopic(uniqueName('dead-letters'), { partitions: 3 })
  await produce(kafkaCluster(), { topic, count: 600, keys: true, headers: 2 })
  byJava = await readByJava([topic])
  expect(byJava.filter(({ crc }) => crc % 7 === 0).length).toBeGreaterThan(30)
})

async function world() {
  const folder = temporaryFolder()
  const table = uniqueName('dead').replaceAll('-', '_')
  const client = new pg.Client(services().postgres)
  await client.connect()
  onTestFinished(() => client.end())
  const types = { text: 'text not null', integer: 'bigint not null', 'text or null': 'text' }
  const columns = Object.entries(LETTER_FIELDS).map(([name, kind]) => `${name} ${types[kind]}`)
  await client.query(`create table ${table}_letters (${columns.join(', ')})`)
  for (const name of ['all', 'chosen']) {
    await client.query(`create table ${table}_${name} (partition int not null, "offset" bigint not null, crc bigint not null)`)
  }
  const env = {
    ...{ CRASH_BROKERS: kafkaCluster().brokers.join(','), CRASH_TOPIC: topic, CRASH_FOLDER: folder, CRASH_TABLE: table },
    CRASH_POSTGRES: services().postgres,
  }
  return {
    run: (strike = '') =>
      new TidemarkProcess(['run', program('dead-letters-job').path, '--until', 'latest'], { env: { ...env, STRIKE: strike } }).ended,
    replay: (strike: string, ...args: string[]) =>
      new TidemarkProcess(['deadletters', 'replay', program('dead-letters-job').path, '--yes', ...args], {
        env: { ...env, STRIKE: strike, CRASH_MENDED: 'yes' },
      }).ended,
    async rows(name: string): Promise<Row[]> {
      const { rows } = await client.query(`select * from ${table}_${name} order by partition, "offset"`)
      return rows.map(row => ({ topic, partition: row.partition, offset: Number(row.offset), crc: Number(row.crc) }))
    },
    async letters() {
      const { rows } = await client.query(`select * from ${table}_letters order by partition, record_offset, stage desc`)
      return rows.map(row => {
        const bytes = (text: string | null) => (text === null ? null : Buffer.from(text, 'base64'))
        const headers = (JSON.parse(row.headers) as [string, string | null][]).map(([name, text]): [string, Buffer | null] => [
          name,
          bytes(text),
        ])
        const crc = recordCrc({ key: bytes(row.key_base64), value: bytes(row.value_base64), headers })
        return {
          topic: row.topic,
          partition: Number(row.partition),
          offset: Number(row.record_offset),
          crc,
          stage: row.stage,
          outputs: row.outputs,
        }
      })
    },
  }
}

/** Every good record once in each table, and every other once in the letters, with the bytes that the Java client reads. */
async function check({ rows, letters }: Awaited<ReturnType<typeof world>>): Promise<void> {
  const parsed = byJava.filter(({ crc }) => crc % 7 !== 0)
  expect(await rows('all')).toEqual(parsed)
  expect(await rows('chosen')).toEqual(parsed.filter(({ crc }) => crc % 11 !== 0))
  const expected = byJava.flatMap(row => {
    if (row.crc % 7 === 0) return [{ ...row, stage: 'map (parse)', outputs: '["all","chosen"]' }]
    return row.crc % 11 === 0 ? [{ ...row, stage: 'filter (chosen)', outputs: '["chosen"]' }] : []
  })
  expect(await letters()).toEqual(expected)
}

describe('a stream with two outputs and dead letters, killed', () => {
  test.for(POINTS)('%s has every good record once in its tables and every bad one once in its letters', async point => {
    const here = await world()
    const killed = await here.run(`kill ${point}`)
    expect(killed).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining(`struck ${point.replace(/ \d+$/, '')}`) })
    expect(await here.run()).toMatchObject({ code: 0 })
    await check(here)
  })
})

/** The same of a replay, whose one batch is one range for both tables and the letters. */
const REPLAY_POINTS = [
  ...['before begin 1', 'after begin 1', 'before write 1', 'after write 1', 'before write 2', 'after write 2', 'after write 3'],
  ...['before commit 1', 'after commit 1'],
]

describe('a replay of dead letters, killed', () => {
  test.for(REPLAY_POINTS)('%s brings each record once to the tables that went without it when it is asked for again', async point => {
    const here = await world()
    expect(await here.run()).toMatchObject({ code: 0 })
    // Of some letters, and then of all: the second finishes what the first began, and leaves out what it has run.
    const killed = await here.replay(`kill ${point}`, '--stage', 'map (parse)', '--partition', '1')
    expect(killed).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining(`struck ${point.replace(/ \d+$/, '')}`) })
    expect(await here.replay(`kill ${point}`)).toMatchObject({ signal: 'SIGKILL' })
    expect(await here.replay('')).toMatchObject({ code: 0 })
    expect(await here.replay('')).toMatchObject({ code: 0, stdout: expect.stringContaining('no dead letters since batch') })
    expect(await here.rows('all')).toEqual(byJava)
    expect(await here.rows('chosen')).toEqual(byJava)
  })
})
