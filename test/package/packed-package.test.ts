import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { codeBlock, readText } from '../docs/readme.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { compileStrictly, installInto, type Packed, pack, runLine, runNodeTests, runOtherCopy } from './packed-package.ts'

// The package as a stranger gets it: packed, installed into an empty folder, its README's example compiled and run against a real Kafka.
const { version, devDependencies } = JSON.parse(readText('package.json'))
let root: string
let folder: string
let packed: Packed

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemark-packed-'))
  folder = join(root, 'project')
  packed = await pack(root)
  await installInto(folder, [packed.tarball, `@types/node@${devDependencies['@types/node']}`])
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

test('the package holds what runs and what must go with it, and nothing else', () => {
  for (const file of ['LICENSE', 'NOTICE', 'README.md', 'CHANGELOG.md', 'bin/tidemark.js', 'dist/src/index.js', 'dist/src/index.d.ts']) {
    expect(packed.files).toContain(file)
  }
  const expected =
    /^(dist\/(src|connectors|offsets)\/.*\.(js|d\.ts)|bin\/tidemark\.js|package\.json|LICENSE|NOTICE|README\.md|CHANGELOG\.md)$/
  expect(packed.files.filter(file => !expected.test(file))).toEqual([])
})

test('its command says its version', async () => {
  expect(await runLine(folder, 'npx tidemark --version')).toMatchObject({ code: 0, stdout: `${version}\n` })
})

describe("README's example", () => {
  const job = codeBlock('ts', '// orders.ts')
  const orders = Array.from({ length: 120 }, (_, id) => ({ id: `order-${id}`, total: id % 3 === 0 ? 0 : id }))
  const sold = orders.filter(({ total }) => total > 0)

  beforeAll(async () => {
    const topic = await createTopic(uniqueName('readme'), { partitions: 3 })
    await sendMessages(
      topic,
      orders.map((order, id) => ({ value: JSON.stringify(order), partition: id % 3 })),
    )
    const brokers = kafkaCluster()
      .brokers.map(broker => `'${broker}'`)
      .join(', ')
    const own = job.replace("'localhost:9092'", brokers).replace("topics: ['orders']", `topics: ['${topic}']`)
    expect(own).toContain(topic)
    writeFileSync(join(folder, 'orders.ts'), own)
  })

  test('compiles strictly, the declarations of all that it imports too', async () => {
    await compileStrictly(folder, ['orders.ts'])
  })

  test('runs by the commands beside it, into files whose rows are the orders', async () => {
    const [plan = '', run = '', show = ''] = codeBlock('sh', 'npx tidemark')
      .split('\n')
      .map(line => line.replace(/#.*/, '').trim())
    expect([plan, run, show].map(line => line.split(' ').slice(2).join(' '))).toEqual([
      'plan orders.ts',
      'run orders.ts --until latest',
      'offsets show orders.ts',
    ])

    const planned = await runLine(folder, `${plan} --json`)
    expect(planned).toMatchObject({ code: 0 })
    expect(JSON.parse(planned.stdout)).toMatchObject({ v: 1, stream: 'orders', pending: null, next: { id: 1, ranges: [{}, {}, {}] } })
    expect(readdirSync(folder)).not.toContain('orders.offsets.db')

    const ran = await runLine(folder, `${run} --json`)
    expect(ran).toMatchObject({ code: 0 })
    expect(JSON.parse(ran.stdout)).toMatchObject({ v: 1, reason: 'done', records: orders.length })
    expect(byId(rowsIn(join(folder, 'out')))).toEqual(byId(sold))

    const shown = await runLine(folder, `${show} --json`)
    expect(JSON.parse(shown.stdout).partitions.map(({ lag }: { lag: number }) => lag)).toEqual([0, 0, 0])
    expect(readdirSync(folder)).toContain('orders.offsets.db')

    const again = await runLine(folder, `${run} --json`)
    expect(JSON.parse(again.stdout)).toMatchObject({ reason: 'done', batches: 0, records: 0 })
    expect(rowsIn(join(folder, 'out'))).toHaveLength(sold.length)
  })
})

describe('a command and a job of two copies of the package', () => {
  test('know each other: the job runs', async () => {
    const ran = await runOtherCopy(folder, ['run', 'orders.ts', '--until', 'latest', '--json'])
    expect(ran).toMatchObject({ code: 0 })
    expect(JSON.parse(ran.stdout)).toMatchObject({ v: 1, stream: 'orders', reason: 'done' })
  })

  test("know each other's errors: the exit code and the message are those of the error, without a stack", async () => {
    writeFileSync(join(folder, 'wrong.ts'), "import { stream } from 'tidemark'\nexport default stream({ name: '', batchIntervalMs: -1 })\n")
    const ran = await runOtherCopy(folder, ['run', 'wrong.ts'])
    expect(ran.code).toBe(2)
    expect(ran.stderr).toContain('2 options are wrong')
    expect(ran.stderr).not.toMatch(/^\s+at /m)
  })
})

test("the contract suite runs as README says, under node's own runner and without vitest", async () => {
  expect(readdirSync(join(folder, 'node_modules'))).not.toContain('vitest')
  writeFileSync(join(folder, 'my-store.test.ts'), codeBlock('ts', '// my-store.test.ts'))
  writeFileSync(
    join(folder, 'my-store.ts'),
    [
      "import { sqliteOffsets } from 'tidemark/offsets/sqlite'",
      "import type { OffsetStore } from 'tidemark'",
      'export const myOffsets = (path: string): OffsetStore => sqliteOffsets({ path })',
    ].join('\n'),
  )
  await compileStrictly(folder, ['my-store.test.ts'])
  const tap = await runNodeTests(folder, 'my-store.test.ts')
  expect(Number(/^# pass (\d+)$/m.exec(tap)?.[1])).toBeGreaterThan(50)
  expect(tap).toMatch(/^# fail 0$/m)
})

function rowsIn(directory: string): { id: string }[] {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.jsonl'))
  const lines = files.flatMap(file => readFileSync(join(directory, file), 'utf8').split('\n'))
  return lines.filter(line => line !== '').map(line => JSON.parse(line))
}

function byId<T extends { readonly id: string }>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}
