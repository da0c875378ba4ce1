/** What a batch of ranges without work costs on an executor: from the dispatcher's call to the last result. */
import { bullmq } from '../../../connectors/bullmq/index.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { doorOf } from '../../../src/core/job-door.ts'
import { silentLog } from '../../../src/core/log.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { dispatch } from '../../../src/driver/dispatcher.ts'
import type { Executor } from '../../../src/index.ts'
import { inProcess, threads } from '../../../src/index.ts'
import { childArguments, giveResult } from '../run-child.ts'
import job from './noop-job.ts'

export type ExecutorKind =
  | { readonly kind: 'in-process' }
  | { readonly kind: 'threads'; readonly size: number }
  | { readonly kind: 'bullmq'; readonly url: string }
export type OverheadArguments = {
  readonly executor: ExecutorKind
  readonly ranges: number
  readonly batches: number
  readonly topic?: string
}
/** Sorted. */
export type OverheadResult = { readonly ms: readonly number[] }

const [{ executor: kind, ranges, batches, topic = 'quick' }] = childArguments<[OverheadArguments]>()
const runnable = doorOf(job)?.runnable()
if (runnable === undefined) throw new TypeError('The job has no door.')
const never = new AbortController().signal
const run = await open(kind).start(runnable, { streamId: 'bench', log: silentLog, signal: never })
const noLoss = { retention: 'fail', truncation: 'fail', recreated: 'fail', removed: 'fail' } as const

const ms: number[] = []
for (let id = 1; id <= batches; id++) {
  const planned = Array.from({ length: ranges }, (_, partition) => ({
    topic,
    partition,
    fromOffset: id * 100,
    untilOffset: id * 100 + 100,
  }))
  const start = performance.now()
  if (topic === 'slow') process.stderr.write('dispatching\n')
  const results = await dispatch(
    run,
    { clock: systemClock, random: systemRandom },
    {
      ...{ job: runnable, batch: { id, batchTime: 0, epoch: 1, ranges: planned }, epoch: 1 },
      ...{ outputsOf: () => ['noop'], watchedOf: () => ['noop'], isolationOf: () => 'read_committed', weigh: () => undefined },
      ...{
        retryForMs: 60_000,
        taskTimeoutMs: 60_000,
        maxOutputWaitMs: 5_000,
        onDataLoss: noLoss,
        onRecordError: 'fail',
        signal: never,
        onTaskEnd: () => {},
        onRetry: () => {},
      },
    },
  )
  ms.push(performance.now() - start)
  if (results.length !== ranges) throw new RangeError(`${results.length} results of ${ranges} ranges.`)
}
await run.close()
// The first batches compile and connect.
giveResult({ ms: ms.slice(Math.floor(batches / 5)).sort((a, b) => a - b) } satisfies OverheadResult)

function open(executor: ExecutorKind): Executor {
  switch (executor.kind) {
    case 'in-process':
      return inProcess()
    case 'threads':
      return threads({ size: executor.size })
    case 'bullmq':
      return bullmq({ url: executor.url, prefix: 'bench' })
    default:
      return executor satisfies never
  }
}
