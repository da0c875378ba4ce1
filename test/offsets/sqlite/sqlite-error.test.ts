import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { describeSqliteError, isBusy } from '../../../offsets/sqlite/sqlite-error.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-sqlite-'))
  path = join(folder, 'offsets.db')
})
afterEach(() => rm(folder, { recursive: true }))

/** What SQLite itself throws, described. */
function describe(provoke: () => void) {
  try {
    provoke()
  } catch (error) {
    return describeSqliteError(error, path)
  }
  return expect.fail('SQLite did not mind')
}

test('a full disk is retryable and names the file', () => {
  using database = new DatabaseSync(path)
  database.exec('create table t (x); pragma max_page_count = 2')
  const error = describe(() => database.exec('insert into t values (randomblob(100000))'))
  expect(error).toMatchObject({
    code: 'CONNECTION',
    retryable: true,
    message: expect.stringContaining(`${path} cannot grow: the disk is full`),
  })
})

test('a file that may not be written says so', () => {
  new DatabaseSync(path).exec('create table t (x)')
  using database = new DatabaseSync(path, { readOnly: true })
  const error = describe(() => database.exec('insert into t values (1)'))
  expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${path} cannot be written`), details: { path } })
})

test('a damaged file says so', async () => {
  const made = new DatabaseSync(path)
  made.exec('create table t (x); insert into t values (hex(randomblob(20000)))')
  made.close()
  const file = await open(path, 'r+')
  await file.write(Buffer.alloc(4_096, 7), 0, 4_096, 4_096)
  await file.close()
  using database = new DatabaseSync(path)
  const error = describe(() => database.prepare('select * from t').all())
  expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${path} is damaged`) })
})

test('an error in SQL is not retryable, and one that is not of SQLite is not described', () => {
  using database = new DatabaseSync(path)
  expect(describe(() => database.exec('select nothing from nowhere'))).toMatchObject({ code: 'CONNECTION', retryable: false })
  expect(describeSqliteError(new TypeError('a bug'), path)).toBeUndefined()
  expect(isBusy(new TypeError('a bug'))).toBe(false)
})
