import { expect, test } from 'vitest'
import { capReport } from '../../../connectors/bullmq/host/cap-report.ts'
import { BULLMQ_VERSION, type GroupReport, type PackReport } from '../../../connectors/bullmq/messages.ts'
import { errorFromWire, errorToWire } from '../../../src/core/error-wire.ts'
import { ConnectionError, DataLossError, isDataLoss, isRetryable, TaskFailedError } from '../../../src/core/errors.ts'

const MAX = 65_536
const LONG = 'a sentence that a driver of a database writes. '.repeat(400)

const report = (groups: readonly GroupReport[]): PackReport => ({ v: BULLMQ_VERSION, groups })
const sizeOf = (capped: PackReport) => Buffer.byteLength(JSON.stringify(capped))

test('a report that fits is left as it is', () => {
  const small = report([{ error: errorToWire(new TypeError('one')) }, { results: [[0, 1, 1, 1, 1, 1]] }])
  expect(capReport(small, MAX)).toBe(small)
})

test('tasks that failed beside others lose their stacks and causes where these would make it too large, and keep class, code and message', () => {
  const error = errorToWire(new ConnectionError('Postgres is away', { cause: new Error(LONG) }))
  const capped = capReport(
    report(
      Array.from({ length: 50 }, () => ({
        results: [
          [0, 9, 9, 9, 1, 2],
          [0, 9, 0, 9, 1, 2, { error }],
        ],
      })),
    ),
    MAX,
  )
  expect(sizeOf(capped)).toBeLessThanOrEqual(MAX)
  expect(capped.groups).toHaveLength(50)
  for (const group of capped.groups) {
    const [whole, failed] = 'results' in group ? group.results : []
    expect(whole).toEqual([0, 9, 9, 9, 1, 2])
    const again = errorFromWire(failed?.[6]?.error ?? errorToWire(undefined))
    expect(again).toMatchObject({ name: 'ConnectionError', code: 'CONNECTION', message: 'Postgres is away' })
    expect(isRetryable(again)).toBe(true)
  }
})

test('long messages and large details of many groups are cut to what fits, and every group still has its error', () => {
  const error = errorToWire(new TaskFailedError(LONG, { details: { rows: LONG.split('.'), batchId: 7 }, retryable: true }))
  const capped = capReport(report(Array.from({ length: 150 }, () => ({ error }))), MAX)
  expect(sizeOf(capped)).toBeLessThanOrEqual(MAX)
  expect(capped.groups).toHaveLength(150)
  for (const group of capped.groups) {
    const again = errorFromWire('error' in group ? group.error : errorToWire(undefined))
    expect(again).toMatchObject({ name: 'TaskFailedError', code: 'TASK_FAILED', message: expect.stringMatching(/^a sentence that/) })
    expect(isRetryable(again)).toBe(true)
  }
})

test('samples of skipped records go where they would make it too large, and how many there were stays', () => {
  const samples = Array.from({ length: 10 }, (_, offset) => ({ offset, stage: 'map', message: LONG }))
  const capped = capReport(
    report(Array.from({ length: 20 }, () => ({ results: [[0, 9, 0, 9, 1, 2, { skipped: { count: 99, samples } }]] }))),
    MAX,
  )
  expect(sizeOf(capped)).toBeLessThanOrEqual(MAX)
  for (const group of capped.groups) {
    expect('results' in group && group.results[0]?.[6]?.skipped?.count).toBe(99)
  }
})

test('what is lost of the log is never cut: the driver moves partitions by it', () => {
  const missing = [{ topic: 'orders', partition: 3, fromOffset: 10, untilOffset: 20 }]
  const loss = errorToWire(new DataLossError('retention', 'orders/3 lost [10, 20)', missing, { resumeAt: 20 }))
  const capped = capReport(report([...Array.from({ length: 150 }, () => ({ error: errorToWire(new Error(LONG)) })), { error: loss }]), MAX)
  expect(sizeOf(capped)).toBeLessThanOrEqual(MAX)
  const last = capped.groups.at(-1)
  const again = errorFromWire(last !== undefined && 'error' in last ? last.error : errorToWire(undefined))
  expect(isDataLoss(again) && again.missing).toEqual(missing)
  expect(isDataLoss(again) && again.resumeAt).toBe(20)
})
