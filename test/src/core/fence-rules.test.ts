import { describe, expect, test } from 'vitest'
import { checkFence, checkTask, type FenceRow } from '../../../src/core/fence-rules.ts'
import type { FenceMark } from '../../../src/core/sink.ts'
import type { Task } from '../../../src/core/values.ts'

const ROW: FenceRow = { streamId: 's1', epoch: 4, owner: 'first', lastBegun: 7, lastComplete: 6 }
const MARK: FenceMark = { stream: 'orders', output: 'db', streamId: 's1', epoch: 5, owner: 'second', lastBegun: 7, lastComplete: 6 }

const TASK: Task = {
  stream: 'orders',
  output: 'db',
  batchId: 7,
  epoch: 4,
  index: 2,
  range: { topic: 'orders', partition: 0, fromOffset: 10, untilOffset: 20 },
  batchTime: 0,
  attempt: 'a',
}

function raise(mark: Partial<FenceMark>, row: FenceRow | undefined = ROW, counted = 0): Promise<void> {
  return checkFence('table orders', row, { ...MARK, ...mark }, () => counted)
}

describe('a fence', () => {
  test('is raised by a newer epoch, by the same owner again, and where there is none yet', async () => {
    await raise({})
    await raise({ epoch: 4, owner: 'first', lastBegun: 8, lastComplete: 7 })
    await checkFence('table orders', undefined, MARK, () => 0)
  })

  test('refuses an older epoch: its driver was paused, and another took over', async () => {
    await expect(raise({ epoch: 3 })).rejects.toMatchObject({
      code: 'FENCED',
      message: expect.stringContaining('Another driver took over'),
    })
  })

  test('refuses an epoch that was granted twice', async () => {
    await expect(raise({ epoch: 4 })).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('was granted twice') })
  })

  test('refuses another stream id: the store was replaced, or two streams share a name', async () => {
    await expect(raise({ streamId: 's2' })).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('was replaced') })
  })

  test.for([{ lastBegun: 6 }, { lastComplete: 5 }])('refuses %o, a batch that the store does not know: it was rolled back', async mark => {
    const refused = { code: 'CONFLICT', message: expect.stringContaining('the store was rolled back') }
    await expect(raise(mark)).rejects.toMatchObject(refused)
  })

  test('names the batches that the store says are complete and the destination does not know', async () => {
    const missing = (from: number | null, to: number) => ({ code: 'CONFLICT', details: { missing: { from, to } } })
    const later = { lastBegun: 9, lastComplete: 9 }
    await expect(raise({ ...later, lastWritten: { batchId: 9, tasks: 4 } })).rejects.toMatchObject(missing(7, 9))
    await expect(raise({ lastBegun: 7, lastComplete: 7, lastWritten: { batchId: 7, tasks: 4 } }, ROW, 3)).rejects.toMatchObject(
      missing(7, 7),
    )
    await expect(checkFence('table orders', undefined, { ...MARK, lastWritten: { batchId: 3, tasks: 1 } }, () => 0)).rejects.toMatchObject(
      missing(null, 3),
    )
  })

  test('tells what it has of the newest batch it began, which a replay would write a second time', async () => {
    const later = { lastBegun: 9, lastComplete: 9, lastWritten: { batchId: 9, tasks: 4 } }
    await expect(raise(later, ROW, 4)).rejects.toMatchObject({
      message: expect.stringMatching(/does not have batches 8 to 9 .* Of batch 7 it has 4 tasks: if tidemark offsets history shows more/),
      details: { missing: { from: 8, to: 9 }, held: { batchId: 7, tasks: 4 } },
    })
    await expect(raise({ lastBegun: 7, lastComplete: 7, lastWritten: { batchId: 7, tasks: 4 } }, ROW, 1)).rejects.toMatchObject({
      message: expect.stringMatching(/does not have batch 7 .* Of batch 7 it has 1 of 4 tasks, and an output that appends/),
    })
  })

  test('knows a complete batch by its ledger rows, or because a later batch was begun', async () => {
    await raise({ lastBegun: 7, lastComplete: 7, lastWritten: { batchId: 7, tasks: 4 } }, ROW, 4)
    await raise({ lastBegun: 7, lastComplete: 7, lastWritten: { batchId: 7, tasks: undefined } }, ROW, 0)
    await raise({ lastWritten: { batchId: 6, tasks: 4 } }, ROW, 0)
    await raise({ lastWritten: { batchId: 2, tasks: 4 } }, ROW, 0)
  })

  test('takes everything from a person who has looked', async () => {
    await raise({ adopt: true, epoch: 1, streamId: 's2', lastBegun: 1, lastComplete: 0, lastWritten: { batchId: 9, tasks: 1 } })
  })
})

describe('a task', () => {
  test('writes under the fence of its own epoch, into a batch that is begun and not complete', () => {
    expect(checkTask('table orders', ROW, undefined, TASK)).toBe('write')
  })

  test('is applied where its ledger row is there with the same range, whoever asks', () => {
    expect(checkTask('table orders', ROW, TASK.range, { ...TASK, epoch: 9 })).toBe('applied')
  })

  test('with another range in the ledger is a conflict and never a skip', () => {
    expect(() => checkTask('table orders', ROW, { ...TASK.range, untilOffset: 21 }, TASK)).toThrow(/as orders\/0 \[10, 21\)/)
  })

  test.for([
    ['of an older epoch', { epoch: 3 }, 'is at epoch 4'],
    ['of a newer epoch than the fence', { epoch: 5 }, 'is at epoch 4'],
    ['of a batch that is complete', { batchId: 6 }, 'has batches up to 6 complete'],
    ['of a batch that was not begun here', { batchId: 8 }, 'has begun batches up to 7'],
  ] as const)('%s never resolves', ([, other, says]) => {
    expect(() => checkTask('table orders', ROW, undefined, { ...TASK, ...other })).toThrow(says)
  })

  test('without any fence never resolves', () => {
    expect(() => checkTask('table orders', undefined, undefined, TASK)).toThrow(/has no fence/)
  })
})
