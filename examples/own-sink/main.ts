// Plays readings.ts: kills the job three times in the midst of a batch, runs it to its end, counts; then plays an old copy of the offset store back.
import assert from 'node:assert/strict'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { createTopic, sendMessages } from '../support/topics.ts'

const READINGS = 30_000
const KILLS = 3
const { EXAMPLE_DIRECTORY = '.' } = process.env
const job = join(import.meta.dirname, 'readings.ts')
const offsetsPath = join(EXAMPLE_DIRECTORY, 'offsets.db')
const backup = join(EXAMPLE_DIRECTORY, 'offsets-backup.db')

using database = new DatabaseSync(join(EXAMPLE_DIRECTORY, 'readings.db'))
// No unique key: a row that came twice would be there twice.
database.exec('create table readings (id integer not null, sensor text not null, celsius real not null)')

const topic = await createTopic('readings', { partitions: 3 })
await sendMessages(
  topic,
  Array.from({ length: READINGS }, (_, id) => ({
    partition: id % 3,
    value: JSON.stringify({ id, sensor: `sensor-${id % 20}`, celsius: 15 + (id % 100) / 10 }),
  })),
)
console.error(`${READINGS} readings are in ${topic}`)

for (let kill = 1; kill <= KILLS; kill++) {
  await using store = sqliteOffsets({ path: offsetsPath })
  const driver = startTidemark('run', job, '--until', 'latest', '--progress')
  const batch = await killInsideBatch(driver, store, 'readings', { afterBatches: 3 * kill })
  console.error(`killed with SIGKILL: batch ${batch.id} is begun and not committed`)
  if (kill === 1) await backUp()
}
assert.equal((await runTidemark('run', job, '--until', 'latest', '--progress')).code, 0)
const counted = count()
assert.deepEqual(counted, { rows: READINGS, ids: READINGS })

console.error('the offset store is played back from a copy of before')
await copyFile(backup, offsetsPath)
assert.equal((await runTidemark('run', job, '--until', 'latest', '--progress')).code, 4)
assert.deepEqual(count(), counted)
console.log(
  `own-sink: ${READINGS} readings, ${counted.rows} rows, ${counted.ids} different ids after ${KILLS} kills; a store that was rolled back is refused`,
)

function count(): { readonly rows: number; readonly ids: number } {
  const row = database.prepare('select count(*) as rows, count(distinct id) as ids from readings').get()
  return { rows: Number(row?.rows), ids: Number(row?.ids) }
}

async function backUp(): Promise<void> {
  using offsets = new DatabaseSync(offsetsPath)
  offsets.prepare('vacuum into ?').run(backup)
}
