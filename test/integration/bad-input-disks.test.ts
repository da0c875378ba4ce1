import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import { createTopic, kafkaCluster, sendMessages, uniqueName } from '../support/kafka.ts'
import { program } from '../support/programs/program.ts'

const RECORDS = 300
/** Linux' own way to see other disks than the rest of the system does. */
const UNSHARE = 'unshare'
let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('disks'))
  await sendMessages(
    topic,
    Array.from({ length: RECORDS }, (_, id) => ({ value: JSON.stringify({ id, text: 'x'.repeat(1_000) }) })),
  )
})

/** A folder with a job that writes 300 kB into `out`, and an empty folder to mount something on. */
function jobFolder(): string {
  const cwd = temporaryFolder()
  writeJob(
    cwd,
    'job.ts',
    `import { stream } from 'tidemark'
import { jsonlSink } from 'tidemark/files'
import { json, kafkaSource } from 'tidemark/kafka'
export default stream({ name: 'disks', batchIntervalMs: 0, limits: { maxRecordsPerBatch: 50 }, retry: { forMs: 300 } })
  .from(kafkaSource({ kafka: { brokers: ${JSON.stringify(kafkaCluster().brokers)} }, topics: ['${topic}'] }))
  .map(json<{ id: number }>())
  .to(jsonlSink({ directory: 'out' }))`,
  )
  mkdirSync(join(cwd, 'out'))
  mkdirSync(join(cwd, 'store'))
  return cwd
}

/** Whether this system lets a process see a file system of its own. Only Linux does, and some containers do not. */
function canMount(): boolean {
  try {
    execFileSync(UNSHARE, ['--user', '--map-root-user', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /tmp'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs the job in a process to which `folder` is another disk. */
async function runOn(folder: 'out' | 'store', mountOptions: string): Promise<{ code: number; said: string; stderr: string }> {
  const cwd = jobFolder()
  const mount = `mount -t tmpfs -o ${mountOptions} tmpfs ${join(cwd, folder)} && exec "$@"`
  const tidemarkArgs = ['run', 'job.ts', '--until', 'latest', '--store', 'sqlite:store/offsets.db']
  const command = program('tidemark')
  const node = [process.execPath, '--conditions=tidemark-source', command.path, ...tidemarkArgs]
  const args = ['--user', '--map-root-user', '--mount', 'sh', '-c', mount, 'sh', ...node]
  return new Promise(resolve => {
    execFile(
      UNSHARE,
      args,
      { cwd, env: { ...process.env, ...command.env, NO_COLOR: '1', NODE_NO_WARNINGS: '1' } },
      (error, _stdout, stderr) => {
        const said = stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))
        resolve({ code: typeof error?.code === 'number' ? error.code : 0, said: said.join('\n'), stderr })
      },
    )
  })
}

describe.skipIf(!canMount())('a disk', () => {
  test('that fills up under the files is waited for, and then ends the run with what to do', async () => {
    const { code, said, stderr } = await runOn('out', 'size=128k')
    expect(code).toBe(1)
    expect(said).toMatch(/^tidemark: Cannot \w+ (to )?.*out\/.*: the disk is full \(ENOSPC\)\. Free some space or raise the quota\./)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('that is read-only under the files is refused at once', async () => {
    const { code, said } = await runOn('out', 'ro')
    expect(code).toBe(2)
    expect(said).toMatch(/^tidemark: Cannot .*out.*: the file system is mounted read-only \(EROFS\)\. Mount it writable or use another/)
  })

  test('that fills up under the store ends the run with what to do', async () => {
    const { code, said, stderr } = await runOn('store', 'size=48k')
    expect(code).toBe(1)
    expect(said).toMatch(/^tidemark: .*store\/offsets\.db cannot (grow: the disk is full|be read or written)/)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test('that is read-only under the store is refused at once', async () => {
    const { code, said } = await runOn('store', 'ro')
    expect(code).toBe(2)
    expect(said).toMatch(/^tidemark: .*store\/offsets\.db cannot be (opened|written)\./)
  })
})

describe('a file that is named as the store', () => {
  const commands = [
    ['run', 'job.ts', '--until', 'latest'],
    ['plan', 'job.ts'],
    ['offsets', 'show', 'job.ts'],
  ] as const

  test.for(commands)('and is none of SQLite is refused by %s %s', async args => {
    const cwd = jobFolder()
    writeFileSync(join(cwd, 'notes.txt'), 'buy milk\n'.repeat(200))
    const { code, stdout, stderr } = await tidemark([...args, '--store', 'sqlite:notes.txt'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^tidemark: .*notes\.txt is not an SQLite file\. Name another path for the offset store\.$/m)
    expect(stderr).not.toMatch(/^\s+at /m)
  })

  test.for(commands)('and is of a newer version is refused by %s %s', async args => {
    const cwd = jobFolder()
    expect(await tidemark(['run', 'job.ts', '--until', 'latest', '--store', 'sqlite:new.db'], { cwd })).toMatchObject({ code: 0 })
    const database = new DatabaseSync(join(cwd, 'new.db'))
    database.exec('pragma user_version = 99')
    database.close()
    const { code, stdout, stderr } = await tidemark([...args, '--store', 'sqlite:new.db'], { cwd })
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(
      /^tidemark: .*new\.db is an offset store of version 99, and this version of tidemark knows 1\. Upgrade tidemark\.$/m,
    )
  })

  test('and is the database of something else is left as it is', async () => {
    const cwd = jobFolder()
    const database = new DatabaseSync(join(cwd, 'shop.db'))
    database.exec('create table orders (id integer)')
    database.close()
    const { code, stderr } = await tidemark(['run', 'job.ts', '--until', 'latest', '--store', 'sqlite:shop.db'], { cwd })
    expect(code).toBe(2)
    expect(stderr).toMatch(/^tidemark: .*shop\.db /m)
    const after = new DatabaseSync(join(cwd, 'shop.db'), { readOnly: true })
    expect(after.prepare('select name from sqlite_schema').all()).toEqual([{ name: 'orders' }])
    after.close()
  })
})
