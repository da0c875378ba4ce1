import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sqliteOffsets } from '../../offsets/sqlite/index.ts'
import { codeBlocks } from '../docs/code-blocks.ts'
import { NodeProcess } from '../src/cli/node-process.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** The files of a guide, with a topic and a stream of this test's own and the brokers of the tests, in a folder inside of the package. */
function layOut(guide: string, topic: string, name: string): string {
  const folder = join(ROOT, '.tidemark', name)
  mkdirSync(folder, { recursive: true })
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const brokers = kafkaCluster().brokers.map(broker => `'${broker}'`)
  for (const { file, code } of codeBlocks(guide)) {
    writeFileSync(join(folder, file), code.replaceAll(`'${topic}'`, `'${name}'`).replaceAll("'localhost:9092'", brokers.join(', ')))
  }
  return folder
}

function node(folder: string, file: string): NodeProcess {
  return new NodeProcess(['--conditions=tidemark-source', join(folder, file)], { cwd: folder })
}

test('getting started: what it produces is what its job writes, also the second time', async () => {
  const name = uniqueName('getting-started')
  const folder = layOut('docs/getting-started.md', 'orders', name)
  for (const rows of [98_880, 2 * 98_880]) {
    expect((await node(folder, 'produce.ts').ended).code).toBe(0)
    const { code, stdout } = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd: folder })
    expect(stdout).toContain('done, 100,000 records in ')
    expect(code).toBe(0)
    expect(countLines(join(folder, 'out'))).toBe(rows)
  }
})

test('the parts by hand, as the page on other engines has them, read what is there and commit it', async () => {
  const name = uniqueName('by-hand')
  await createTopic(name, { partitions: 2 })
  await sendMessages(
    name,
    Array.from({ length: 100 }, (_, id) => ({ partition: id % 2, value: String(id) })),
  )
  const folder = layOut('docs/other-engines.md', 'payments', name)
  const { code, stdout } = await node(folder, 'by-hand.ts').ended
  expect(stdout).toBe('0 50\n1 50\n')
  expect(code).toBe(0)
  await using store = sqliteOffsets({ path: join(folder, 'offsets.db') })
  expect((await store.read('by-hand')).offsets.map(({ offset }) => offset)).toEqual([50, 50])
})

function countLines(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(file => file.endsWith('.jsonl'))
  return files.reduce((sum, file) => sum + readFileSync(join(folder, file), 'utf8').split('\n').length - 1, 0)
}
