import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import { jsonlSink, listJsonlFiles } from '../../../connectors/files/index.ts'
import { ConfigError } from '../../../src/core/errors.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { context, mark, rowsOf, running, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

const FILE = join('orders', '3', '0000000000000120-0000000000000180-b7.jsonl')

/** Every file below a folder, relative to it, without what the sink keeps for itself. */
function dataFiles(directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => !entry.isDirectory())
  return all.map(entry => join(entry.parentPath, entry.name).slice(directory.length + 1)).filter(path => !path.startsWith('_tidemark'))
}

function attempts(directory: string): string[] {
  return readdirSync(join(directory, '_tidemark', 'attempts'))
}

describe('a task', () => {
  test('becomes one file named by its range and batch, a row a line', async () => {
    const directory = join(temporaryFolder(), 'made', 'on the way')
    const sink = jsonlSink({ directory })
    await sink.prepare?.(context())
    await sink.write(task(), rowsOf([{ id: 1 }, 'text\nof two lines'], [], [[2, null]]), running)
    expect(dataFiles(directory)).toEqual([FILE])
    expect(readFileSync(join(directory, FILE), 'utf8')).toBe('{"id":1}\n"text\\nof two lines"\n[2,null]\n')
    expect(attempts(directory)).toEqual([])
  })

  test('without rows leaves an empty file, so that the names tile the log', async () => {
    const directory = temporaryFolder()
    const sink = jsonlSink({ directory })
    await sink.write(task(), rowsOf(), running)
    expect(readFileSync(join(directory, FILE), 'utf8')).toBe('')
    expect(await sink.applied?.(task())).toBe(true)
  })

  test('of many large arrays comes out whole and in order', async () => {
    const directory = temporaryFolder()
    const arrays = Array.from({ length: 40 }, (_, array) =>
      Array.from({ length: 4096 }, (_, row) => ({ id: array * 4096 + row, text: 'é€😀' })),
    )
    await jsonlSink({ directory }).write(task(), rowsOf(...arrays), running)
    const lines = readFileSync(join(directory, FILE), 'utf8').trimEnd().split('\n')
    expect(lines.map(line => JSON.parse(line))).toEqual(arrays.flat())
  })

  test('run a second time gives the same bytes under the same name', async () => {
    const directory = temporaryFolder()
    const arrays = [[{ id: 1 }, { id: 2 }], [{ id: 3 }]]
    await jsonlSink({ directory }).write(task(), rowsOf(...arrays), running)
    const before = readFileSync(join(directory, FILE))
    await jsonlSink({ directory }).write(task({ attempt: '2-7-0-1', epoch: 2 }), rowsOf(...arrays), running)
    expect(dataFiles(directory)).toEqual([FILE])
    expect(readFileSync(join(directory, FILE)).equals(before)).toBe(true)
  })

  test('is applied when its own file is there, and not by that of another range or batch', async () => {
    const sink = jsonlSink({ directory: temporaryFolder() })
    expect(await sink.applied?.(task())).toBe(false)
    await sink.write(task(), rowsOf([1]), running)
    expect(await sink.applied?.(task({ attempt: 'another', epoch: 9 }))).toBe(true)
    expect(await sink.applied?.(task({ batchId: 8 }))).toBe(false)
    expect(await sink.applied?.(task({ range: { untilOffset: 181 } }))).toBe(false)
  })
})

describe('names', () => {
  test('of successive ranges tile the log, in the order of their offsets', async () => {
    const directory = temporaryFolder()
    const sink = jsonlSink({ directory })
    const cuts = [0, 7, 7_000_000, 9_000_000_000_000, Number.MAX_SAFE_INTEGER]
    for (const [index, fromOffset] of cuts.slice(0, -1).entries()) {
      await sink.write(task({ batchId: index + 1, range: { fromOffset, untilOffset: cuts[index + 1] ?? 0 } }), rowsOf([index]), running)
    }
    const files = await listJsonlFiles(directory)
    expect(files.map(file => file.fromOffset)).toEqual(cuts.slice(0, -1))
    expect(files.map(file => file.untilOffset)).toEqual(cuts.slice(1))
    expect(readdirSync(join(directory, 'orders', '3')).sort()).toEqual(files.map(file => file.path.split(/[\\/]/).at(-1)))
  })

  test('keep topics apart that a file system would take for one, and inside the directory', async () => {
    const folder = temporaryFolder()
    const directory = join(folder, 'out')
    const sink = jsonlSink({ directory })
    const topics = [
      'orders',
      'Orders',
      'ORDERS',
      '..',
      '.',
      'a/b',
      '../escaped',
      '_tidemark',
      'con',
      'nul.txt',
      'ends.',
      '%4F',
      'cluster:é',
    ]
    for (const topic of topics) await sink.write(task({ range: { topic } }), rowsOf([topic]), running)
    expect(new Set(readdirSync(directory).map(name => name.toLowerCase())).size).toBe(topics.length + 1)
    expect(readdirSync(folder)).toEqual(['out'])
    const files = await listJsonlFiles(directory)
    expect(files.map(file => file.topic)).toEqual([...topics].sort())
    for (const file of files) expect(readFileSync(file.path, 'utf8')).toBe(`${JSON.stringify(file.topic)}\n`)
  })
})

describe('an attempt that does not come to its end', () => {
  test('and is aborted leaves no file, neither in place nor aside, and passes the reason on', async () => {
    const directory = temporaryFolder()
    const controller = new AbortController()
    const reason = new Error('the driver stops')
    async function* rows() {
      yield Array.from({ length: 4096 }, () => 'x'.repeat(200))
      controller.abort(reason)
      yield ['never written']
    }
    await expect(jsonlSink({ directory }).write(task(), rows(), { ...running, signal: controller.signal })).rejects.toBe(reason)
    expect(dataFiles(directory)).toEqual([])
    expect(attempts(directory)).toEqual([])
  })

  test('because its rows fail leaves no file and passes that error on as it is', async () => {
    const directory = temporaryFolder()
    const failure = new Error('the broker has gone')
    async function* rows(): AsyncGenerator<readonly unknown[]> {
      yield [1, 2, 3]
      throw failure
    }
    await expect(jsonlSink({ directory }).write(task(), rows(), running)).rejects.toBe(failure)
    expect(dataFiles(directory)).toEqual([])
    expect(attempts(directory)).toEqual([])
  })

  test('and fails leaves the file of an earlier attempt as it was', async () => {
    const directory = temporaryFolder()
    const sink = jsonlSink({ directory })
    await sink.write(task(), rowsOf([1]), running)
    await expect(sink.write(task({ attempt: 'later' }), rowsOf([1, undefined]), running)).rejects.toThrow()
    expect(readFileSync(join(directory, FILE), 'utf8')).toBe('1\n')
  })

  test('because its process is killed leaves nothing in place, and what is aside goes with the next epoch', async () => {
    const directory = temporaryFolder()
    const script = fileURLToPath(new URL('./write-and-hang.ts', import.meta.url))
    const child = spawn(process.execPath, ['--conditions=tidemark-source', script, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(dataFiles(directory)).toEqual([])
    expect(attempts(directory)).toHaveLength(1)

    const sink = jsonlSink({ directory })
    await sink.prepare?.(context())
    await sink.fence?.(mark({ epoch: 2 }))
    expect(attempts(directory)).toEqual([])
    expect(await sink.applied?.(task())).toBe(false)
  })

  test.each([
    ['undefined', undefined, 'it is undefined'],
    ['a function', () => 1, 'it is a function'],
    ['a BigInt', { id: 5n }, 'BigInt'],
    ['a cycle', Object.assign([] as unknown[], { self: 0 }), 'circular'],
  ])('because a row is %s names the range and the row', async (name, row, reason) => {
    if (name === 'a cycle') (row as unknown[]).push(row)
    const directory = temporaryFolder()
    const failed = jsonlSink({ directory }).write(task(), rowsOf([1, 2], [3, row, 5]), running)
    await expect(failed).rejects.toMatchObject({
      code: 'RECORD',
      message: expect.stringContaining('Row 4 of orders/3 [120, 180) (batch 7, output files) cannot be written as JSON: '),
      details: { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180, row: 4 },
    })
    await expect(failed).rejects.toThrow(reason)
    expect(dataFiles(directory)).toEqual([])
  })
})

describe('a disk that will not', () => {
  test('hold a directory under a file is named with the path and the way out', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    const sink = jsonlSink({ directory: join(file, 'out') })
    const message = new RegExp(
      `^Cannot make the folder ${file}.*: a part of the path is a file \\(ENOTDIR\\). Remove it or use another directory`,
    )
    await expect(sink.prepare?.(context())).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) })
    await expect(sink.write(task(), rowsOf([1]), running)).rejects.toThrow(message)
  })

  test('take a name is a configuration error', async () => {
    const topic = 'É'.repeat(100)
    const failed = jsonlSink({ directory: temporaryFolder() }).write(task({ range: { topic } }), rowsOf([1]), running)
    await expect(failed).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('ENAMETOOLONG') })
  })

  test.runIf(existsSync('/dev/full'))(
    'take more rows fails the task in a way that a retry may mend, and puts nothing in place',
    async () => {
      const directory = temporaryFolder()
      const sink = jsonlSink({ directory })
      await sink.prepare?.(context())
      vi.spyOn(systemRandom, 'id').mockReturnValueOnce('full')
      symlinkSync('/dev/full', join(directory, '_tidemark', 'attempts', 'e1-b7-0-1-7-0-0-full.tmp'))
      await expect(sink.write(task(), rowsOf([1]), running)).rejects.toMatchObject({
        code: 'TASK_FAILED',
        retryable: true,
        message: expect.stringMatching(/^Cannot write to .*: the disk is full \(ENOSPC\). Free some space/),
      })
      expect(dataFiles(directory)).toEqual([])
      await sink.write(task(), rowsOf([1]), running)
      expect(dataFiles(directory)).toEqual([FILE])
    },
  )
})

describe('making a sink', () => {
  test('touches nothing', () => {
    const directory = join(temporaryFolder(), 'out')
    expect(jsonlSink({ directory })).toMatchObject({ name: `files:${directory}`, guarantee: 'idempotent', ordering: 'none' })
    expect(existsSync(directory)).toBe(false)
  })

  test.each([
    [{ directory: undefined }, 'jsonlSink: directory is undefined: expected the path of the folder'],
    [{ directory: '' }, 'jsonlSink: directory is an empty string: expected the path of the folder'],
    [{ directory: 'out', directroy: 'x' }, 'jsonlSink: directroy is not an option: did you mean directory?'],
  ])('with wrong options says which: %o', (options, message) => {
    expect(() => jsonlSink(options)).toThrow(ConfigError)
    expect(() => jsonlSink(options)).toThrow(message)
  })

  test('for a directory that exists and holds other files leaves them alone', async () => {
    const directory = temporaryFolder()
    mkdirSync(join(directory, 'notes'))
    writeFileSync(join(directory, 'notes', 'mine.txt'), 'mine')
    const sink = jsonlSink({ directory })
    await sink.prepare?.(context())
    await sink.fence?.(mark())
    await sink.write(task(), rowsOf([1]), running)
    expect(dataFiles(directory).sort()).toEqual([join('notes', 'mine.txt'), FILE].sort())
  })
})
