// Tests the store, then plays events.ts over it: kills it in the midst of a batch, runs it again, and counts.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listJsonlFiles } from 'tidemark/files'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'
import { DocumentOffsetStore } from './document-offsets.ts'
import { VersionedFiles } from './versioned-files.ts'

const EVENTS = 20_000
const { EXAMPLE_DIRECTORY = '.' } = process.env

const tested = spawnSync(process.execPath, ['--test', '--test-reporter=tap', join(import.meta.dirname, 'contract.test.ts')], {
  encoding: 'utf8',
})
const [, passed = '0'] = /^# pass (\d+)$/m.exec(tested.stdout) ?? []
if (tested.status !== 0) throw new Error(`The store breaks its contract:\n${tested.stdout}${tested.stderr}`)
console.error(`the store keeps all ${passed} rules of its contract`)

const topic = await createTopic('events', { partitions: 2 })
await sendMessages(
  topic,
  Array.from({ length: EVENTS }, (_, id) => ({ partition: id % 2, value: JSON.stringify({ id }) })),
)
console.error(`${EVENTS} events are in ${topic}`)

const job = join(import.meta.dirname, 'events.ts')
const store = new DocumentOffsetStore(new VersionedFiles(join(EXAMPLE_DIRECTORY, 'offsets')))
const batch = await killInsideBatch(startTidemark('run', job, '--until', 'latest', '--progress'), store, 'events')
console.error(`killed with SIGKILL: batch ${batch.id} is begun and not committed`)
assert.equal((await runTidemark('run', job, '--until', 'latest', '--progress')).code, 0)

const files = await listJsonlFiles(join(EXAMPLE_DIRECTORY, 'events'))
const texts = await Promise.all(files.map(({ path }) => readFile(path, 'utf8')))
const ids = texts.flatMap(text => text.split('\n').filter(line => line !== '')).map(line => JSON.parse(line).id)
assert.deepEqual({ rows: ids.length, ids: new Set(ids).size }, { rows: EVENTS, ids: EVENTS })
console.log(`own-offset-store: ${passed} rules kept, ${EVENTS} events, ${ids.length} rows, each once`)
