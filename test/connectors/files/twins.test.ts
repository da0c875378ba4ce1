import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jsonlSink, listJsonlFiles } from '../../../connectors/files/index.ts'
import { context, mark, rowsOf, running, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

const arrays = Array.from({ length: 400 }, (_, array) => Array.from({ length: 100 }, (_, row) => ({ id: array * 100 + row })))
const TEXT = arrays
  .flat()
  .map(row => `${JSON.stringify(row)}\n`)
  .join('')

/** A driver's sink, which is never opened, and executors' sinks, which are never prepared. */
async function startTwins() {
  const directory = temporaryFolder()
  const [driver, one, other] = [jsonlSink({ directory }), jsonlSink({ directory }), jsonlSink({ directory })]
  await driver.prepare?.(context())
  await driver.fence?.(mark())
  await one.open?.(context())
  await other.open?.(context())
  return { directory, driver, one, other }
}

/** Rows of an attempt that is held up in their middle. */
function heldRows() {
  const reached = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  async function* rows() {
    yield* arrays.slice(0, 300)
    reached.resolve()
    await go.promise
    yield* arrays.slice(300)
  }
  return { rows: rows(), reached: reached.promise, go: () => go.resolve() }
}

async function readOnlyFile(directory: string): Promise<string> {
  const files = await listJsonlFiles(directory)
  expect(files).toHaveLength(1)
  return readFileSync(files[0]?.path ?? '', 'utf8')
}

const attempts = (directory: string) => readdirSync(join(directory, '_tidemark', 'attempts'))

describe('two attempts of a task side by side', () => {
  // A queue may deliver one attempt twice: to an executor that was stopped, and to the one that took its work over.
  test.for([
    ['two attempts', 'b'],
    ['one attempt that was delivered twice', '1-7-0-0'],
  ])('leave one file with every row once, and nothing aside: %s', async ([, attempt = '']) => {
    const { directory, driver, one, other } = await startTwins()
    const [first, second] = [heldRows(), heldRows()]
    const writing = [one.write(task(), first.rows, running), other.write(task({ attempt }), second.rows, running)]
    await Promise.all([first.reached, second.reached])
    expect(attempts(directory)).toHaveLength(2)
    first.go()
    await writing[0]
    expect(await readOnlyFile(directory)).toBe(TEXT)
    second.go()
    await writing[1]
    expect(await readOnlyFile(directory)).toBe(TEXT)
    expect(attempts(directory)).toEqual([])
    await driver.fence?.(mark({ lastBegun: 8, lastComplete: 7 }))
    expect(await one.applied?.(task())).toBe(true)
  })

  test('that begin when the other is through its first half do not cut what the other has', async () => {
    const { directory, one, other } = await startTwins()
    const late = heldRows()
    const straggling = one.write(task(), late.rows, running)
    await late.reached
    const broken = (async function* () {
      yield* arrays.slice(0, 10)
      throw new Error('the second broke off')
    })()
    await expect(other.write(task(), broken, running)).rejects.toThrow('the second broke off')
    late.go()
    await straggling
    expect(await readOnlyFile(directory)).toBe(TEXT)
  })
})

describe('an executor', () => {
  test('whose directory is another than the one that its driver prepared writes nothing, and says so', async () => {
    const { driver } = await startTwins()
    const elsewhere = jsonlSink({ directory: temporaryFolder() })
    await elsewhere.open?.(context())
    await expect(elsewhere.write(task(), rowsOf([1]), running)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/is not the directory that the driver of stream orders has prepared.*mount at this path/),
    })
    await driver.close?.()
  })

  test('of a store that was replaced writes nothing, though its epoch is higher than that of today', async () => {
    const { directory, one } = await startTwins()
    const adopting = jsonlSink({ directory })
    await adopting.prepare?.({ ...context({ streamId: 'id-2' }), adopt: true })
    await adopting.fence?.({ ...mark({ streamId: 'id-2', epoch: 1, owner: 'host:9' }), adopt: true })
    await expect(one.write(task({ epoch: 5 }), rowsOf([1]), running)).rejects.toMatchObject({
      code: 'FENCED',
      message: expect.stringContaining('has gone to the stream with id id-2'),
    })
    expect(await listJsonlFiles(directory)).toEqual([])
  })
})
