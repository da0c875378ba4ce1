import { hostname } from 'node:os'
import { JobError } from '../../../src/core/errors.ts'
import type { Executor, ExecutorContext, ExecutorRun } from '../../../src/core/executor.ts'
import { fingerprintImported } from '../../../src/core/job-fingerprint.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { JobOrigin, RunnableJob } from '../../../src/core/runnable-job.ts'
import { parseOptions } from '../../../src/util/parse-options.ts'
import { checkServer } from '../check-server.ts'
import { checkTarget } from '../check-target.ts'
import { ControlLine } from '../control-line.ts'
import { jobKeys } from '../keys.ts'
import { BULLMQ_VERSION, type RunInfo } from '../messages.ts'
import { type BullmqOptions, executorSchema } from '../options.ts'
import { Registry } from '../registry.ts'
import { BullmqRun } from './bullmq-run.ts'
import { Executors } from './executors.ts'
import { PackScripts } from './pack-scripts.ts'
import { Queues } from './queues.ts'

/**
 * Runs tasks on other machines: on each, `tidemark executor <job> --executors <url>`, or `serveTasks`. Work goes over BullMQ queues in one Redis, which
 * keeps no truth: it may lose everything at any time.
 *
 *     stream({ name: 'orders', executor: bullmq({ url: process.env.REDIS_URL }) })
 *
 * @throws ConfigError listing every option that is wrong
 */
export function bullmq(options: BullmqOptions): Executor {
  const complete = parseOptions(executorSchema(options), options, 'bullmq')
  const target = 'url' in complete ? { url: complete.url, tls: complete.tls } : { client: complete.client }
  checkTarget(target)
  return {
    name: 'bullmq',
    async start(job, context) {
      const origin = originOf(job)
      const fingerprint = fingerprintImported(origin)
      const keys = jobKeys(complete.prefix, origin.name)
      const line = new ControlLine(target, 'driver')
      const registry = new Registry(line, keys)
      try {
        // First what says best why it cannot be reached.
        await registry.watch(context.signal)
        await checkServer(line, message => context.log.warn({ job: origin.name }, message))
      } catch (error) {
        line.close()
        throw error
      }
      const run: { current?: BullmqRun } = {}
      const queues = new Queues(target, keys, context.log, {
        onActive: id => run.current?.onActive(id),
        onCompleted: (id, report) => run.current?.onReport(id, report),
        onFailed: (id, reason) => run.current?.onFailed(id, reason),
      })
      run.current = new BullmqRun({
        ...{ job, context, line, registry, queues },
        scripts: new PackScripts(line, keys),
        executors: new Executors(origin.name, fingerprint, context.log),
        frame: { streamId: context.streamId, outputs: [...job.outputs.keys()], fingerprint, maxMessageBytes: complete.maxMessageBytes },
        stragglers: complete.stragglers,
        nonce: systemRandom.id(8),
        info: describeRun(job, context, fingerprint),
      })
      return begin(run.current, queues)
    },
  }
}

async function begin(run: BullmqRun, queues: Queues): Promise<ExecutorRun> {
  try {
    await queues.ready()
    await run.begin()
    return run
  } catch (error) {
    await run.close()
    throw error
  }
}

function describeRun(job: RunnableJob, { streamId }: ExecutorContext, fingerprint: RunInfo['fingerprint']): RunInfo {
  return {
    ...{ v: BULLMQ_VERSION, stream: job.stream, streamId, fingerprint },
    ...{ epoch: undefined, host: hostname(), pid: process.pid, startedAt: Date.now(), batchId: undefined, groupsLeft: 0 },
  }
}

function originOf({ stream, origin }: RunnableJob): JobOrigin {
  if (origin === undefined) {
    throw new JobError(
      `Job ${stream} was put together by hand, and executors in other processes import a job from its module: make it with stream(), or use inProcess().`,
    )
  }
  if (origin.module === undefined) {
    throw new JobError(
      `Nobody knows the module of job ${origin.name}, from which executors in other processes import it. Start it with start({ module: import.meta.url }) ` +
        'of the module that exports it.',
    )
  }
  return origin
}
