import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { describe, expect, test } from 'vitest'
import { listExamples } from '../../scripts/example/list-examples.ts'
import { kafkaClient } from '../support/kafka.ts'
import { services } from '../support/services.ts'
import { startExample } from './play.ts'

const EXAMPLES = join(import.meta.dirname, '..', '..', 'examples')
/** Folders that are no example of the runner: the demo, which `npm start` runs, and what examples share. */
const OTHERS = ['demo', 'support']

/** What is left of one run: others of the same example may be under way. */
async function leftBehind(run: string): Promise<string[]> {
  const admin = kafkaClient().admin()
  const database = new Client({ connectionString: services().postgres })
  await Promise.all([admin.connect(), database.connect()])
  try {
    const topics = (await admin.listTopics()).filter(topic => topic.startsWith(run))
    const { rows } = await database.query('select datname from pg_database where datname = $1', [run.replaceAll('-', '_')])
    return [...topics, ...rows.map(({ datname }) => datname)]
  } finally {
    await Promise.all([admin.disconnect(), database.end()])
  }
}

describe('the runner of examples', () => {
  test('lists them without a name', async () => {
    const { code, stdout, stderr } = await startExample().ended
    expect(stdout).toMatch(/^ {2}npm run example kafka-to-postgres +orders into a table of Postgres/m)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  })

  test('says that there is none of a name, and which there are', async () => {
    const { code, stdout, stderr } = await startExample('kafka-to-nowhere').ended
    expect(stderr).toContain('example: There is no example kafka-to-nowhere.\n')
    expect(stderr).toContain('npm run example kafka-to-postgres')
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('ends an example that is interrupted, with all it has started and made', async () => {
    const running = startExample('kafka-to-postgres')
    await running.says('orders: started at epoch 1')
    running.signal('SIGINT')
    const { code, stdout, stderr } = await running.ended
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
    const [, run = ''] = /orders are in (kafka-to-postgres-\d+)-orders/.exec(stderr) ?? []
    expect(run).not.toBe('')
    expect(await leftBehind(run)).toEqual([])
  })
})

test('every folder of examples is one that runs, with a README, and has a test', async () => {
  const examples = await listExamples()
  const folders = readdirSync(EXAMPLES).filter(name => !OTHERS.includes(name))
  expect(examples.map(({ name }) => name)).toEqual(folders.sort())
  const wanted = examples.flatMap(({ name, folder }) => [
    join(folder, 'README.md'),
    join(folder, 'main.ts'),
    join(import.meta.dirname, `${name}.test.ts`),
  ])
  expect(wanted.filter(path => !existsSync(path))).toEqual([])
})
