import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { SqliteOffsetStore } from '../../../offsets/sqlite/sqlite-offset-store.ts'
import { ManualClock } from '../../../src/testing/index.ts'

const LONG_MS = 600_000
let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'))
  path = join(folder, 'offsets.db')
})
afterEach(() => rm(folder, { recursive: true }))

/** Makes a database and says what SQLite keeps in its header. */
function makeDatabase(sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

test('making a store touches nothing, and reading from a store that is not there makes none', async () => {
  await using store = sqliteOffsets({ path: join(folder, 'new', 'offsets.db') })
  expect((await store.read('orders')).streamId).toBeUndefined()
  expect(await store.streams()).toEqual([])
  for await (const entry of store.history('orders')) expect.fail(`${entry.kind}`)
  await expect(store.snapshot('orders')).rejects.toMatchObject({ code: 'CONFLICT' })
  expect(existsSync(join(folder, 'new'))).toBe(false)
})

test('the first lease makes the file and its folders', async () => {
  const deep = join(folder, 'a', 'b', 'offsets.db')
  await using store = sqliteOffsets({ path: deep })
  await store.acquire('orders', 'first', LONG_MS)
  expect(existsSync(deep)).toBe(true)
})

test('what was committed is there after the store was closed, and a closed store opens again', async () => {
  const store = sqliteOffsets({ path })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  await store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [{ topic: 'orders', partition: 0, fromOffset: 0, untilOffset: 5 }] })
  await store.commit(lease, 1)
  await store.close()
  expect(existsSync(`${path}-wal`)).toBe(false)
  expect((await store.read('orders')).offsets).toEqual([{ topic: 'orders', partition: 0, offset: 5 }])
  expect((await store.acquire('orders', 'second', LONG_MS)).epoch).toBe(2)
  await store.close()
})

test.for([
  ['', 'CONFIG', /path of a file/],
  ['a\0b', 'CONFIG', /path of a file/],
  [':memory:', 'CONFIG', /memoryOffsets\(\)/],
] as const)('the path %j is refused when the store is made', ([wrong, code, message]) => {
  expect(() => sqliteOffsets({ path: wrong })).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
})

test('a file that is not SQLite is refused and left as it was', async () => {
  await writeFile(path, 'id,total\n'.repeat(500))
  await using store = sqliteOffsets({ path })
  for (const call of [() => store.acquire('orders', 'first', LONG_MS), () => store.read('orders')]) {
    await expect(call()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${path} is not an SQLite file`) })
  }
  expect(await readFile(path, 'utf8')).toBe('id,total\n'.repeat(500))
})

test('an SQLite file of another application is refused and left as it was', async () => {
  for (const sql of ['create table songs (title text)', 'pragma application_id = 252006674']) {
    makeDatabase(sql)
    const before = await readFile(path)
    await using store = sqliteOffsets({ path })
    await expect(store.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/another application/),
    })
    expect(before.equals(await readFile(path))).toBe(true)
    await rm(path)
  }
})

test('a store of a newer version is refused by its version', async () => {
  const store = sqliteOffsets({ path })
  await store.acquire('orders', 'first', LONG_MS)
  await store.close()
  makeDatabase('pragma user_version = 7')
  await expect(store.read('orders')).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(/version 7.*knows 1/),
    details: { version: 7 },
  })
  await store.close()
})

test('a path that cannot be a file is refused by name', async () => {
  await mkdir(path)
  await using folderStore = sqliteOffsets({ path })
  await expect(folderStore.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(path),
  })

  const file = join(folder, 'file')
  await writeFile(file, '')
  await using belowFile = sqliteOffsets({ path: join(file, 'offsets.db') })
  await expect(belowFile.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(file),
  })

  const loop = join(folder, 'loop')
  await symlink(loop, loop)
  await using looping = sqliteOffsets({ path: loop })
  await expect(looping.read('orders')).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(loop) })
})

test('a store whose opening failed can be closed, and opens once the cause is gone', async () => {
  await writeFile(path, 'not a database, and longer than a header of one hundred bytes'.repeat(4))
  const store = sqliteOffsets({ path })
  await expect(store.acquire('orders', 'first', LONG_MS)).rejects.toMatchObject({ code: 'CONFIG' })
  await store.close()
  await rm(path)
  expect((await store.acquire('orders', 'first', LONG_MS)).epoch).toBe(1)
  await store.close()
})

test('a write waits for the lock of another connection and leaves the thread free meanwhile', async () => {
  await using store = sqliteOffsets({ path })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const holder = new DatabaseSync(path)
  holder.exec('begin immediate')
  const waiting = store.renew(lease)
  expect((await store.read('orders')).epoch).toBe(1)
  holder.exec('commit')
  holder.close()
  await waiting
})

test('a write that waits for a lock ends with its signal', async () => {
  await using store = sqliteOffsets({ path })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const holder = new DatabaseSync(path)
  holder.exec('begin immediate')
  const reason = new Error('stopped')
  const controller = new AbortController()
  const waiting = expect(store.release(lease, { signal: controller.signal })).rejects.toBe(reason)
  controller.abort(reason)
  await waiting
  holder.close()
  await store.renew(lease)
})

test('a lock that is never given up is an error that may be retried', async () => {
  const clock = new ManualClock()
  await using store = new SqliteOffsetStore(path, { clock })
  const lease = await store.acquire('orders', 'first', LONG_MS)
  const holder = new DatabaseSync(path)
  holder.exec('begin immediate')
  const waiting = expect(store.renew(lease)).rejects.toMatchObject({
    code: 'CONNECTION',
    retryable: true,
    message: expect.stringMatching(/is locked/),
  })
  await clock.untilSleeping()
  // Not `advance`, which would wake every short nap on the way and try the lock at each.
  clock.skip(60_000)
  await waiting
  holder.close()
})
