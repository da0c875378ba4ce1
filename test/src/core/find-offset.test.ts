import { describe, expect, test } from 'vitest'
import { RecordError } from '../../../src/core/errors.ts'
import type { TaskGroup } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { Stage } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { runTasks } from '../../../src/core/task-runner.ts'
import { ManualClock, memorySource } from '../../../src/testing/index.ts'

const LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const

/** Refuses the row that has the value, as a destination does: by its place among the rows it got. */
function picky(name: string, value: string): Sink<unknown> {
  return {
    name,
    guarantee: 'at-least-once',
    ordering: 'none',
    async write(_task, rows) {
      let row = 0
      for await (const array of rows) {
        for (const candidate of array) {
          row += 1
          if (textOf(candidate) === value) throw new RecordError(`Row ${row} is refused.`, { details: { row, output: name } })
        }
      }
    },
  }
}

function textOf(row: unknown): string {
  return typeof row === 'string' ? row : String((row as { value: Buffer }).value)
}

function stage(kind: 'map' | 'filter' | 'flatMap', apply: (row: never) => unknown): Stage {
  return { kind, label: kind, apply, concurrency: 4 }
}

async function failureOf(stages: readonly Stage[], value: string, onRecordError: 'fail' | 'skip' = 'fail'): Promise<unknown> {
  const source = memorySource({ topics: { t: 1 } })
  source.append('t', 0, ...Array.from({ length: 20 }, (_, at) => ({ value: `v${at}` })))
  const range = { topic: 't', partition: 0, fromOffset: 2, untilOffset: 20 }
  const sink = picky('picky', value)
  const task = { stream: 's', batchId: 1, epoch: 1, index: 0, range, batchTime: 0, output: 'picky', attempt: 'a' }
  const group: TaskGroup = { range, isolation: 'read_committed', timeoutMs: 60_000, onDataLoss: LOSS, onRecordError, tasks: [task] }
  const job = { stream: 's', outputs: new Map([['picky', { name: 'picky', source, stages, sink: sink as Sink<never> }]]) }
  return runTasks(job, group, { clock: new ManualClock(), log: silentLog, signal: new AbortController().signal }).catch(thrown => thrown)
}

const toText = stage('map', (record: { value: Buffer }) => String(record.value))

describe('a row that a sink refuses by its place is told with the offset of its record', () => {
  test('of the records themselves', async () => {
    expect(await failureOf([], 'v7')).toMatchObject({
      code: 'RECORD',
      message: 'Row 6 is refused. The row comes from the record at t/0 offset 7.',
      details: { row: 6, offset: 7 },
    })
  })

  test('behind stages that leave rows out, add some, and wait', async () => {
    const even = stage('filter', async (text: string) => Number(text.slice(1)) % 2 === 0)
    const twice = stage('flatMap', (text: string) => [`${text}a`, `${text}b`])
    expect(await failureOf([toText, even, twice], 'v12b')).toMatchObject({ details: { row: 12, offset: 12 } })
  })

  test('behind records that a function failed on and that were left out', async () => {
    const failing = stage('map', (text: string) => {
      if (text === 'v4') throw new Error('bad')
      return text
    })
    expect(await failureOf([toText, failing], 'v9', 'skip')).toMatchObject({ details: { row: 7, offset: 9 } })
  })

  test('and without one where rows are of no one record', async () => {
    const gather: Stage = {
      kind: 'mapRange',
      label: 'mapRange',
      apply: async function* (rows: AsyncIterable<readonly string[]>) {
        for await (const array of rows) yield array
      } as never,
    }
    const failure = await failureOf([toText, gather], 'v7')
    expect(failure).toMatchObject({ message: 'Row 6 is refused.' })
    expect((failure as RecordError).details).not.toHaveProperty('offset')
  })
})
