import type { TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import { silentLog } from '../../../src/core/log.ts'
import type { RunnableOutput, Stage } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import type { ReadOptions } from '../../../src/core/source.ts'
import { runTasks } from '../../../src/core/task-runner.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'
import { type ManualClock, type MemoryRecord, MemorySource } from '../../../src/testing/index.ts'

export const NO_LOSS = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const
/** More than a few arrays. */
export const RECORDS = 3_000
export const RANGE = { topic: 't', partition: 0, fromOffset: 0, untilOffset: RECORDS }
export const ALL = Array.from({ length: RECORDS }, (_, at) => at)

/** Gives few records at a time, as a reader of Kafka does. */
class ChoppingSource extends MemorySource {
  override async *read(range: OffsetRange, options: ReadOptions = {}): AsyncGenerator<readonly MemoryRecord[]> {
    for await (const records of super.read(range, options)) {
      for (let at = 0; at < records.length; at += 256) yield records.slice(at, at + 256)
    }
  }
}

export function numbered(): MemorySource {
  const source = new ChoppingSource({ topics: { t: 1 } })
  source.append('t', 0, ...ALL.map(at => ({ value: String(at) })))
  return source
}

export function row(kind: 'map' | 'filter', label: string, apply: (row: never) => unknown): Stage {
  return { kind, label, apply, concurrency: 4 }
}

export const toNumber = row('map', 'map (toNumber)', (record: MemoryRecord) => Number(record.value))

/** A sink that keeps its rows; a slow one stands still after its first array until it is let go. */
export function keeping(name: string, { isSlow = false } = {}) {
  const rows: unknown[] = []
  const go = Promise.withResolvers<void>()
  const sink: Sink<never> = {
    name,
    guarantee: 'at-least-once',
    ordering: 'none',
    async write(_task, arrays) {
      for await (const array of arrays) {
        rows.push(...array)
        if (isSlow) await go.promise
      }
    },
  }
  return { name, rows, sink, go: go.resolve }
}

export type Kept = ReturnType<typeof keeping>

export function run(
  source: MemorySource,
  outputs: readonly { readonly kept: Kept; readonly stages: readonly Stage[]; readonly isDeadLetters?: boolean }[],
  clock: ManualClock,
  options: Partial<TaskGroup> = {},
  only?: readonly string[],
): Promise<TaskResult[]> {
  const declared = outputs.map(({ kept: { name, sink }, stages, isDeadLetters = false }): [string, RunnableOutput] => [
    name,
    { name, source, stages, sink, isDeadLetters },
  ])
  const tasks = declared
    .filter(([name]) => only?.includes(name) ?? true)
    .map(([output]): Task => ({ stream: 's', batchId: 1, epoch: 1, index: 0, range: RANGE, batchTime: 0, output, attempt: 'a' }))
  const group: TaskGroup = {
    ...{ range: RANGE, isolation: 'read_committed', timeoutMs: 600_000, onDataLoss: NO_LOSS, onRecordError: 'fail', tasks },
    ...{ maxOutputWaitMs: 1_000, ...options },
  }
  return runTasks({ stream: 's', outputs: new Map(declared) }, group, { clock, log: silentLog, signal: new AbortController().signal })
}

/** Moves the clock until the quick one has everything; a slow output has kept it waiting until then. */
export async function untilFull(clock: ManualClock, quick: Kept, rows: number): Promise<void> {
  while (quick.rows.length < rows) await clock.advance(100)
}
