import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Progress } from '../../../src/cli/progress.ts'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { BatchInfo, StreamEvent } from '../../../src/core/events.ts'
import { Screen } from './terminal.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

type News = StreamEvent extends infer Event ? (Event extends StreamEvent ? Omit<Event, 'stream' | 'time'> : never) : never

function show(options?: { isTTY: boolean }) {
  const screen = new Screen(options)
  const progress = new Progress(screen.asTerminal())
  return { screen, progress, tell: (event: News) => progress.listener({ ...event, stream: 'orders', time: 0 } as StreamEvent) }
}

const range = { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180 }
const started = { type: 'streamStarted', epoch: 2, owner: 'me', guarantee: 'idempotent', outputs: ['files:out'] } as const

function batch(id: number, more: Partial<BatchInfo> = {}): BatchInfo {
  return { id, batchTime: 0, ranges: [range], isReplay: false, submissionTime: 0, outputOperations: [], ...more }
}

function taskEnded(records: number, output = 'files:out') {
  const task = { stream: 'orders', batchId: 1, epoch: 2, index: 0, range, batchTime: 0, output, attempt: 'a' }
  return { type: 'taskEnded', task: { task, status: 'completed', records, startTime: 0, endTime: 0 } } as const
}

test('where there is no terminal it is a line a second, the first already with its rate', () => {
  const { screen, tell } = show({ isTTY: false })
  tell(started)
  vi.advanceTimersByTime(2_500)
  tell({ type: 'batchSubmitted', batch: batch(1) })
  vi.advanceTimersByTime(250)
  tell(taskEnded(50_000))
  tell({ type: 'batchCompleted', batch: batch(1, { lag: 1_000, totalDelay: 240 }) })
  vi.advanceTimersByTime(10_000)
  expect(screen.lines).toEqual([
    'orders: started at epoch 2, idempotent, into files:out',
    'batch 1  50,000 records  100,000 records/s  lag 1,000  delay 0.24 s',
    '',
  ])
})

test('on a terminal it is one line, that says so when the stream waits for records', () => {
  const { screen, tell, progress } = show()
  tell(started)
  vi.advanceTimersByTime(100)
  expect(screen.lines.at(-1)).toBe('waiting for records')
  tell({ type: 'batchSubmitted', batch: batch(7) })
  vi.advanceTimersByTime(500)
  tell(taskEnded(1_000))
  tell({ type: 'batchCompleted', batch: batch(7, { lag: 0, totalDelay: 1_500 }) })
  vi.advanceTimersByTime(500)
  expect(screen.lines.at(-1)).toBe('batch 7  1,000 records  1,000 records/s  lag 0  delay 1.50 s')
  vi.advanceTimersByTime(2_000)
  expect(screen.lines.at(-1)).toBe('waiting for records  batch 7 committed  1,000 records')
  progress.end()
  expect(screen.lines.at(-1)).toBe('')
  expect(screen.lines).toHaveLength(3)
})

test('records that two outputs share are counted once', () => {
  const { screen, tell, progress } = show({ isTTY: false })
  tell({ type: 'batchSubmitted', batch: batch(1) })
  tell(taskEnded(10, 'a'))
  tell(taskEnded(10, 'b'))
  progress.end()
  expect(screen.lines[0]).toMatch(/^batch 1 {2}10 records/)
})

test('a replay names its batch, when it was begun, and its ranges', () => {
  const { screen, tell } = show({ isTTY: false })
  const ranges = Array.from({ length: 10 }, (_, partition) => ({ ...range, partition }))
  tell({ type: 'batchSubmitted', batch: batch(4, { isReplay: true, ranges, batchTime: Date.UTC(2026, 10, 20) }) })
  expect(screen.lines[0]).toBe('orders: replaying batch 4, begun 2026-11-20T00:00:00.000Z and not committed:')
  expect(screen.lines[1]).toBe('  orders/0 [120, 180)')
  expect(screen.lines.slice(8)).toEqual(['  orders/7 [120, 180)', '  and 2 more ranges', ''])
})

test('an outage is told once, however often it is tried again, and so is its end', () => {
  const { screen, tell } = show({ isTTY: false })
  const error = new ConnectionError('No connection to Kafka.')
  for (let attempt = 0; attempt < 3; attempt++) {
    tell({ type: 'error', error, fatal: false })
    if (attempt === 0) tell({ type: 'health', status: 'red', reason: error.message })
  }
  tell({ type: 'health', status: 'green' })
  expect(screen.lines).toEqual([
    'warning: No connection to Kafka.',
    'orders: health is red; the stream goes on when this has passed',
    'orders: health is green again',
    '',
  ])
})

test('a service that is away is told as what the stream waits for, and not once for each task that finds it so', () => {
  const { screen, tell } = show({ isTTY: false })
  const error = new ConnectionError('https://api.test is away.', { retryAfterMs: 500 })
  const failed = (index: number, error: Error) => {
    const task = { stream: 'orders', batchId: 1, epoch: 2, index, range, batchTime: 0, output: 'http:api.test', attempt: 'a' }
    tell({ type: 'taskEnded', task: { task, status: 'failed', willRetry: true, startTime: 0, endTime: 0, error } })
  }
  for (let index = 0; index < 3; index++) failed(index, error)
  tell({ type: 'error', error, fatal: false })
  tell({ type: 'health', status: 'red', reason: error.message })
  expect(screen.lines).toEqual(['warning: https://api.test is away.', 'orders: health is red; the stream goes on when this has passed', ''])
  failed(3, new ConnectionError('It was reset.'))
  expect(screen.lines[2]).toBe('warning: task orders/3 [120, 180) of batch 1 is tried again: It was reset.')
})

test('standing by is told with who holds the lease', () => {
  const { screen, tell } = show({ isTTY: false })
  tell({ type: 'standingBy', reason: 'host:1 holds the lease of orders.' })
  expect(screen.lines[0]).toBe('orders: standing by. host:1 holds the lease of orders.')
})

test('records that are gone or skipped are told, as there is no log beside it, and so is what a job has gained and lost', () => {
  const { screen, tell } = show({ isTTY: false })
  tell({ type: 'jobChanged', message: 'the job is not the one that ran last: outputs that are gone: postgres:orders' })
  tell({ type: 'dataLoss', cause: 'retention', message: 'orders/3 [120, 180) is gone.', missing: [range] })
  const skipped = (offset: number, output: string) =>
    tell({
      type: 'recordsSkipped',
      batchId: 1,
      output,
      range,
      count: 5,
      samples: [{ offset, stage: 'map', message: `record ${offset} is no JSON` }],
    })
  skipped(120, 'files:out')
  skipped(130, 'files:out')
  skipped(140, 'console')
  expect(screen.lines).toEqual([
    'orders: the job is not the one that ran last: outputs that are gone: postgres:orders',
    'warning: data loss, going on: orders/3 [120, 180) is gone.',
    'warning: records are skipped for files:out, the first: record 120 is no JSON',
    'warning: records are skipped for console, the first: record 140 is no JSON',
    '',
  ])
})
