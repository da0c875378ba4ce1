import { expect, test } from 'vitest'
import { temporaryFolder } from '../../connectors/files/temporary-folder.ts'
import { tidemark } from './tidemark-process.ts'
import { writeJob } from './write-job.ts'

/** Runs a job of ten records, of which a function fails on three, and gives what it prints. */
async function runWith(onRecordError: string): Promise<{ readonly code: number | null; readonly stdout: string }> {
  const folder = temporaryFolder()
  writeJob(
    folder,
    'orders.ts',
    `import { deadLetter, stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { memorySource } from 'tidemark/testing'

const source = memorySource({ topics: { orders: 1 } })
for (let id = 0; id < 10; id++) source.append('orders', 0, { value: String(id) })
export default stream({ name: 'orders', onRecordError: ${onRecordError} })
  .from(source)
  .map(({ value }) => {
    if (Number(value) > 6) throw new RangeError('too much')
    return String(value)
  })
  .to(jsonlSink({ directory: 'out' }))
`,
  )
  const { code, stdout } = await tidemark(['run', 'orders.ts', '--until', 'latest'], { cwd: folder })
  return { code, stdout }
}

test('a run ends with how many records were skipped', async () => {
  expect(await runWith(`'skip'`)).toEqual({
    code: 0,
    stdout: 'orders: done, 10 records in 1 batch\n3 records skipped, for the job failed on them\n',
  })
})

test('a run ends with how many dead letters went out', async () => {
  expect(await runWith(`deadLetter(jsonlSink({ directory: 'letters' }))`)).toEqual({
    code: 0,
    stdout: 'orders: done, 10 records in 1 batch\n3 dead letters, for the job failed on their records\n',
  })
})
