import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { BackfillView } from '../../../src/cli/backfill-view.ts'
import { Progress } from '../../../src/cli/progress.ts'
import type { BatchInfo, StreamEvent } from '../../../src/core/events.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { Screen } from './terminal.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

type News = StreamEvent extends infer Event ? (Event extends StreamEvent ? Omit<Event, 'stream' | 'time'> : never) : never

const started = { type: 'streamStarted', epoch: 1, owner: 'me', guarantee: 'exactly-once', outputs: ['rows'] } as const

/** A backfill of partitions of 1,000 offsets each, of which the first `done` are done. */
function show({
  partitions = 2,
  done = 0,
  ...size
}: {
  partitions?: number
  done?: number
  isTTY?: boolean
  columns?: number
  rows?: number
} = {}) {
  const screen = new Screen(size)
  const ranges = Array.from({ length: partitions }, (_, partition) => ({
    topic: 'orders',
    partition,
    fromOffset: 500,
    untilOffset: 1_500,
    position: 500 + done,
  }))
  const view = new BackfillView({ name: 'orders~backfill-1', ranges })
  const progress = new Progress(screen.asTerminal(), [], view)
  const tell = (event: News) => progress.listener({ ...event, stream: 'orders~backfill-1', time: 0 } as StreamEvent)
  tell(started)
  return { screen, view, progress, tell }
}

function range(partition: number, fromOffset: number, untilOffset: number): OffsetRange {
  return { topic: 'orders', partition, fromOffset, untilOffset }
}

function batch(id: number, ...ranges: readonly OffsetRange[]): BatchInfo {
  return { id, batchTime: 0, ranges, isReplay: false, submissionTime: 0, outputOperations: [] }
}

function taskEnded(of: OffsetRange, output = 'rows') {
  const task = { stream: 'orders~backfill-1', batchId: 1, epoch: 1, index: 0, range: of, batchTime: 0, output, attempt: 'a' }
  const records = of.untilOffset - of.fromOffset
  return { type: 'taskEnded', task: { task, status: 'completed', records, bytes: records * 1024, startTime: 0, endTime: 0 } } as const
}

describe('on a terminal', () => {
  test('a bar for all of it, records, bytes, rate and time left, and a line a partition', () => {
    const { screen, tell } = show({ columns: 120 })
    tell({ type: 'batchSubmitted', batch: batch(1, range(0, 500, 1_000)) })
    vi.advanceTimersByTime(1_000)
    tell(taskEnded(range(0, 500, 1_000)))
    tell({ type: 'batchCompleted', batch: batch(1, range(0, 500, 1_000)) })
    vi.advanceTimersByTime(100)
    expect(screen.lines).toEqual([
      'orders~backfill-1: started at epoch 1, exactly-once, into rows',
      '███████░░░░░░░░░░░░░░░░░░░░░░░   25 %  500 records  500 KiB  455 records/s  3.3 s left',
      '  orders/0  ██████████░░░░░░░░░░   50 %  500 of 1,000',
      '  orders/1  ░░░░░░░░░░░░░░░░░░░░    0 %  0 of 1,000',
    ])
  })

  test('what tasks of the batch in hand have done counts, once, and no longer when the batch fails and is run again', () => {
    const { screen, tell } = show({ partitions: 1 })
    tell({ type: 'batchSubmitted', batch: batch(1, range(0, 500, 900)) })
    tell(taskEnded(range(0, 500, 700)))
    tell(taskEnded(range(0, 500, 700), 'another output'))
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-1)).toContain(' 20 %  200 records')
    tell({ type: 'batchSubmitted', batch: batch(1, range(0, 500, 900)) })
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-1)).toContain('  0 %  200 records')
  })

  test('one that goes on begins where it was', () => {
    const { screen } = show({ done: 250 })
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-3)).toContain(' 25 %  0 records')
    expect(screen.lines.at(-1)).toContain(' 25 %  250 of 1,000')
  })

  test('many partitions are folded: those that are not complete first', () => {
    const { screen, tell } = show({ partitions: 100, columns: 60 })
    const complete = Array.from({ length: 40 }, (_, partition) => range(partition, 500, 1_500))
    tell({ type: 'batchCompleted', batch: batch(1, ...complete) })
    vi.advanceTimersByTime(100)
    expect(screen.lines.slice(1)).toHaveLength(9)
    expect(screen.lines.at(2)).toMatch(/^ {2}orders\/40 {2}░+ +0 % {2}0 of 1,000$/)
    expect(screen.lines.at(-1)).toBe('  and 93 more: 40 complete, 53 to go')
  })

  test.each([20, 40, 55, 80, 200])('of %i columns no line is wider, and what was drawn is erased', columns => {
    const { screen, tell, progress } = show({ columns, partitions: 5 })
    for (let step = 1; step <= 10; step++) {
      tell({ type: 'batchSubmitted', batch: batch(step, range(0, 500, 500 + step * 100)) })
      tell({ type: 'batchCompleted', batch: batch(step, range(0, 500, 500 + step * 100)) })
      vi.advanceTimersByTime(100)
    }
    progress.say('a line that stays')
    vi.advanceTimersByTime(100)
    progress.end()
    const [head, stays, ...drawn] = screen.lines
    expect(head).toContain('started')
    expect(stays).toBe('a line that stays')
    expect(drawn).toHaveLength(7)
    for (const line of drawn) expect(line.length).toBeLessThan(columns)
  })

  test('of few columns what matters least is left out, and what is there is whole', () => {
    const at = (columns: number) => {
      const { screen, tell } = show({ columns, partitions: 1 })
      vi.advanceTimersByTime(1_000)
      tell(taskEnded(range(0, 500, 700)))
      vi.advanceTimersByTime(1_000)
      return screen.lines.at(-1)
    }
    expect([80, 70, 48, 35, 20].map(at)).toEqual([
      '████░░░░░░░░░░░░░░░░   20 %  200 records  200 KiB  100 records/s  8.0 s left',
      '███░░░░░░░░░░░░░░   20 %  200 records  100 records/s  8.0 s left',
      ' 20 %  200 records  100 records/s  8.0 s left',
      ' 20 %  200 records  8.0 s left',
      ' 20 %  8.0 s left',
    ])
  })

  test('of few rows it shows fewer partitions, or none', () => {
    const { screen } = show({ partitions: 10, rows: 6 })
    vi.advanceTimersByTime(100)
    expect(screen.lines.slice(1)).toHaveLength(4)
    expect(screen.lines.at(-1)).toBe('  and 8 more: 0 complete, 8 to go')
    const small = show({ partitions: 10, rows: 3 })
    vi.advanceTimersByTime(100)
    expect(small.screen.lines).toHaveLength(2)
  })

  test('paused, it says so in place of rate and time left', () => {
    const { screen, view, tell } = show({ partitions: 1 })
    tell(taskEnded(range(0, 500, 700)))
    view.pause()
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-1)).toMatch(/ 20 % {2}200 records {2}200 KiB {2}paused$/)
    view.resume()
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-1)).toContain('records/s')
  })

  test('records that are lost are not waited for', () => {
    const { screen, tell } = show({ partitions: 1 })
    tell({ type: 'dataLoss', cause: 'retention', message: 'gone', missing: [range(0, 500, 800)], resumeAt: 800 })
    vi.advanceTimersByTime(100)
    expect(screen.lines.at(-1)).toContain(' 30 %')
  })
})

test('without a terminal it is a line now and then, and one at the end', () => {
  const { screen, tell, progress } = show({ isTTY: false })
  tell({ type: 'batchSubmitted', batch: batch(1, range(0, 500, 1_500)) })
  for (let second = 0; second < 12; second++) {
    vi.advanceTimersByTime(1_000)
    tell(taskEnded(range(0, 500 + second * 50, 550 + second * 50)))
  }
  tell({ type: 'batchCompleted', batch: batch(1, range(0, 500, 1_100)) })
  progress.end()
  expect(screen.lines).toEqual([
    'orders~backfill-1: started at epoch 1, exactly-once, into rows',
    'orders~backfill-1: 22 %, 450 records, 450 KiB, 45 records/s, 34 s left',
    'orders~backfill-1: 30 %, 600 records, 600 KiB, 50 records/s, 28 s left',
    '',
  ])
})
