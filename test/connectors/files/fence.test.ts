import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { jsonlSink } from '../../../connectors/files/index.ts'
import { context, mark, rowsOf, running, task } from './files-task.ts'
import { temporaryFolder } from './temporary-folder.ts'

const markerOf = (directory: string) => join(directory, '_tidemark', 'output.json')

/** A sink over `directory` the way a new process has it. */
async function start(directory: string, epoch: number, parts: Parameters<typeof mark>[0] = {}) {
  const sink = jsonlSink({ directory })
  await sink.prepare?.(context(parts))
  await sink.fence?.(mark({ epoch, owner: `host:${epoch}`, ...parts }))
  return sink
}

describe('a directory', () => {
  test('goes on with the stream and output it belongs to, start after start', async () => {
    const directory = temporaryFolder()
    for (const epoch of [1, 2, 5]) await start(directory, epoch)
    expect(JSON.parse(readFileSync(markerOf(directory), 'utf8'))).toEqual({
      v: 1,
      stream: 'orders',
      streamId: 'id-1',
      output: 'files',
      epoch: 5,
      owner: 'host:5',
    })
  })

  test('refuses another stream id, and says what happened and the ways out', async () => {
    const directory = temporaryFolder()
    await start(directory, 1)
    const other = jsonlSink({ directory })
    const refused = {
      code: 'CONFLICT',
      message: expect.stringMatching(/id id-1;.*id id-2.*store was replaced, or two streams share.*another directory/),
    }
    await expect(other.prepare?.(context({ streamId: 'id-2' }))).rejects.toMatchObject(refused)
    await expect(other.fence?.(mark({ streamId: 'id-2', epoch: 9 }))).rejects.toMatchObject(refused)
    await expect(other.prepare?.(context({ streamId: 'id-2' }))).rejects.toThrow('--adopt files')
  })

  test('is taken over from another stream id or epoch by a person who has looked', async () => {
    const directory = temporaryFolder()
    await start(directory, 7)
    const other = jsonlSink({ directory })
    await other.prepare?.({ ...context({ streamId: 'id-2' }), adopt: true })
    await other.fence?.({ ...mark({ streamId: 'id-2', epoch: 1, owner: 'host:1' }), adopt: true })
    await other.write(task({ epoch: 1 }), rowsOf([1]), running)
    await expect(start(directory, 8)).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('of a replay is one beside it', async () => {
    const directory = temporaryFolder()
    await start(directory, 1)
    const replay = jsonlSink({ directory: `${directory}/` }).forStream?.('orders~replay-1')
    expect(replay?.name).toBe(`files:${directory}~replay-1`)
    await replay?.prepare?.(context({ stream: 'orders~replay-1', streamId: 'id-2' }))
    expect(readdirSync(`${directory}~replay-1`)).toEqual(['_tidemark'])
  })

  test('refuses a second output of the same stream, whose files would overwrite the first', async () => {
    const directory = temporaryFolder()
    await start(directory, 1)
    const other = jsonlSink({ directory })
    const refused = {
      code: 'CONFLICT',
      message: expect.stringContaining('holds the files of output files of stream orders; this is its output large'),
    }
    await expect(other.prepare?.(context({ output: 'large' }))).rejects.toMatchObject(refused)
  })

  test.each(['', 'null', '{"v":1}', 'notes of my own'])('with a marker nobody can read is left alone: %j', async text => {
    const directory = temporaryFolder()
    await start(directory, 1)
    writeFileSync(markerOf(directory), text)
    await expect(start(directory, 2)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('is not what Tidemark wrote'),
    })
    expect(readFileSync(markerOf(directory), 'utf8')).toBe(text)
  })

  test('of a newer version is not touched', async () => {
    const directory = temporaryFolder()
    await start(directory, 1)
    writeFileSync(markerOf(directory), JSON.stringify({ v: 2, stream: 'orders', streamId: 'id-1', output: 'files', epoch: 1, owner: '' }))
    await expect(start(directory, 2)).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('has version 2') })
  })
})

describe('the witness against the store', () => {
  test('refuses batches that the store does not know: it was rolled back', async () => {
    const directory = temporaryFolder()
    const sink = await start(directory, 1)
    for (const batchId of [5, 6, 7]) await sink.write(task({ batchId }), rowsOf([batchId]), running)
    await expect(start(directory, 2, { lastBegun: 6, lastComplete: 6 })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringMatching(
        /has files of batches up to 7 of stream orders, and its offset store knows batches up to 6: the store was rolled back/,
      ),
      details: { batchIds: [7], lastBegun: 6 },
    })
    await start(directory, 2, { lastBegun: 7, lastComplete: 6 })
  })

  test('refuses an epoch that was granted twice: the store lost a write', async () => {
    const directory = temporaryFolder()
    await start(directory, 3)
    await expect(start(directory, 3, { owner: 'another' })).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('Epoch 3 of stream orders was granted twice: to host:3'),
    })
    await start(directory, 3)
  })
})

describe('a newer epoch', () => {
  test('stops the driver before it, also when that one had been fencing happily', async () => {
    const directory = temporaryFolder()
    await start(directory, 4)
    const refused = { code: 'FENCED', message: expect.stringMatching(/by epoch 4 of stream orders \(host:4\); this driver has epoch 3/) }
    await expect(start(directory, 3)).rejects.toMatchObject(refused)
  })

  test('leaves an attempt that had its file aside with nothing to put in place', async () => {
    const directory = temporaryFolder()
    const old = await start(directory, 1)
    async function* rows() {
      yield ['of the old attempt']
      await start(directory, 2)
      yield ['and more']
    }
    await expect(old.write(task(), rows(), running)).rejects.toMatchObject({
      code: 'FENCED',
      message: expect.stringMatching(/Task 0 of batch 7 of stream orders carries epoch 1; .* is at 2/),
    })
    expect(await old.applied?.(task())).toBe(false)
    expect(readdirSync(join(directory, '_tidemark', 'attempts'))).toEqual([])
  })

  test('leaves an attempt that begins after it with nothing to put in place', async () => {
    const directory = temporaryFolder()
    const old = await start(directory, 1)
    const current = await start(directory, 2)
    await expect(old.write(task(), rowsOf([1]), running)).rejects.toMatchObject({ code: 'FENCED' })
    expect(await old.applied?.(task())).toBe(false)
    await current.write(task({ epoch: 2 }), rowsOf([1]), running)
    expect(await current.applied?.(task())).toBe(true)
  })

  test('keeps its own attempts when its batches go on', async () => {
    const directory = temporaryFolder()
    const sink = await start(directory, 1)
    async function* rows() {
      yield [1]
      await sink.fence?.(mark({ epoch: 1, owner: 'host:1', lastBegun: 8, lastComplete: 7 }))
      await start(directory, 1)
      yield [2]
    }
    await sink.write(task(), rows(), running)
    expect(await sink.applied?.(task())).toBe(true)
  })
})
