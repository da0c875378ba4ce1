import type { Sink } from '../core/sink.ts'
import type { Task } from '../core/values.ts'

/**
 * A user's function on a range's rows, as a sink. Nothing is known of what it does, so it promises the least: at-least-once, and slices of
 * one partition in order.
 */
export function forEachRangeSink<Row>(run: (rows: AsyncIterable<readonly Row[]>, task: Task) => unknown): Sink<Row> {
  return {
    name: 'forEachRange',
    guarantee: 'at-least-once',
    ordering: 'partition',
    async write(task, rows) {
      await run(rows, task)
    },
  }
}

/** The executor's side of `forEachBatch`: it only draws the rows through, and the task runner gathers them for the driver. */
export function forEachBatchSink(): Sink<unknown> {
  return {
    name: 'forEachBatch',
    guarantee: 'at-least-once',
    ordering: 'none',
    async write(_task, rows) {
      for await (const _ of rows);
    },
  }
}
