/** Runs the count job over a topic and measures it behind its first rows, when everything is compiled and connected: each thread compiles for itself. */
import { memoryOffsets } from '../../../offsets/memory/index.ts'
import { inProcess, threads } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import type { CountJob } from './count-job.ts'

/** `threads` 0 is in-process; `warmUpRows` are not measured. */
export type CountArguments = { readonly job: CountJob; readonly threads: number; readonly warmUpRows: number }
export type CountResult = {
  readonly rows: number
  readonly ms: number
  readonly wholeMs: number
  readonly wholeRows: number
}

const [{ job, threads: size, warmUpRows }] = childArguments<[CountArguments]>()
process.env.BENCH_COUNT_JOB = JSON.stringify(job)
const { default: count } = await import('./count-job.ts')

let rows = 0
let warm: { readonly rows: number; readonly at: number } | undefined
const run = await count.start({
  until: 'latest',
  offsets: memoryOffsets(),
  executor: size === 0 ? inProcess() : threads({ size }),
  listeners: [
    event => {
      if (event.type !== 'batchCompleted') return
      rows += event.batch.outputOperations.reduce((sum, { rows: written = 0 }) => sum + written, 0)
      if (rows >= warmUpRows) warm ??= { rows, at: performance.now() }
    },
  ],
})
const startedAt = performance.now()
await run.done
const endedAt = performance.now()
const { rows: warmRows, at } = warm ?? { rows: 0, at: startedAt }
giveResult({
  rows: rows - warmRows,
  ms: endedAt - at,
  wholeRows: rows,
  wholeMs: endedAt - startedAt,
} satisfies CountResult)
