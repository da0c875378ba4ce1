import { availableParallelism } from 'node:os'
import { extname } from 'node:path'
import { z } from 'zod'
import { JobError } from '../core/errors.ts'
import type { Executor, ExecutorContext } from '../core/executor.ts'
import { fingerprintImported } from '../core/job-fingerprint.ts'
import type { RunnableJob } from '../core/runnable-job.ts'
import { parseOptions } from '../util/parse-options.ts'
import { Slots } from '../util/slots.ts'
import type { RunDescriptor } from './threads/messages.ts'
import { ThreadRun } from './threads/thread-run.ts'

/** What `threads` takes. */
export type ThreadsOptions = {
  /** How many worker threads. @default the number of processors that this process may use */
  readonly size?: number | undefined
  /** How many ranges a thread works on at a time, so that one is read while another is worked on. @default 4 */
  readonly concurrency?: number | undefined
  /**
   * How large a thread's heap may grow, MiB. What is fetched lies outside the heap: kafkaSource's `maxBytesInFlight` bounds it, in each thread for itself.
   * A lower limit makes V8 collect more often. One step that takes more than 16 MiB beyond it at once (a Map or an array of millions that grows) ends the
   * process and not the thread: Node's limit.
   * @default 2048
   */
  readonly maxHeapMiB?: number | undefined
}

/**
 * How large the part of a heap is in which new objects begin. At the limit Node ends the thread and lets the collection in hand take 16 MiB more; one of V8's
 * default size moves more than that at a time to where old objects are, and then not the thread ends but the whole process (tried: JSON kept in an array,
 * 3 of 3; with 32 none of 30).
 */
const YOUNG_MIB = 32

const threadsOptions = z
  .strictObject({
    size: z.int().min(1).max(1024).default(availableParallelism).describe('a whole number of threads, from 1'),
    concurrency: z.int().min(1).default(4).describe('a whole number of ranges, from 1'),
    maxHeapMiB: z.int().min(16).default(2048).describe('a whole number of MiB, from 16'),
  })
  .describe('options such as { size: 4 }')

/**
 * Runs tasks in worker threads of this process, so that a job uses all processors. Each thread imports the job from its module, has connections of its own,
 * and runs whole tasks; only tasks and small results cross. A thread that ends (out of memory, `process.exit`, an error that nothing caught) costs the
 * tasks that it had, which run again in another.
 *
 *     stream({ name: 'orders', executor: threads({ size: 4 }) })
 *
 * Throws `ConfigError` for wrong options; its threads start with the stream, which is a `JobError` where nobody can tell the job's module.
 */
export function threads(options: ThreadsOptions = {}): Executor {
  const { size, concurrency, maxHeapMiB } = parseOptions(threadsOptions, options, 'threads')
  const slots = new Slots(size)
  return {
    name: 'threads',
    async start(job, context) {
      const descriptor = describeRun(job, context, concurrency)
      context.signal.throwIfAborted()
      const run = new ThreadRun({ pool: await makePool(size, maxHeapMiB), size, maxHeapMiB, descriptor, context, slots })
      try {
        await run.open()
        return run
      } catch (error) {
        await run.close()
        throw error
      }
    },
  }
}

function describeRun(job: RunnableJob, { streamId }: ExecutorContext, concurrency: number): RunDescriptor {
  const { stream, origin, outputs } = job
  if (origin?.module === undefined) {
    throw new JobError(
      `Stream ${stream} cannot run in threads: they import the job from its module, and nobody can tell which one that is. Declare the job in a file that ` +
        'exports it, and start it from there or with start({ module: <the URL of that file> }); or run it with inProcess().',
    )
  }
  const fingerprint = fingerprintImported(origin)
  return { module: origin.module, job: origin.name, stream, outputs: [...outputs.keys()], streamId, fingerprint, concurrency }
}

/** A pool whose every thread has one task: its session, for as long as the run lasts. */
async function makePool(size: number, maxHeapMiB: number) {
  const { Piscina } = await import('piscina')
  return new Piscina({
    filename: new URL(`./threads/session${extname(import.meta.url)}`, import.meta.url).href,
    name: 'runSession',
    minThreads: size,
    maxThreads: size,
    // Else a thread without a task waits in Atomics.wait: its timers do not run and its sockets are not read, so connections that are kept for the next
    // batch time out and break without anybody noticing.
    atomics: 'disabled',
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMiB, maxYoungGenerationSizeMb: YOUNG_MIB },
  })
}
