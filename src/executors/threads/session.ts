import { errorFromWire, errorToWire } from '../../core/error-wire.ts'
import { JobError } from '../../core/errors.ts'
import { importJob } from '../../core/job-door.ts'
import { describeDifference, fingerprintJob } from '../../core/job-fingerprint.ts'
import type { RunnableJob } from '../../core/runnable-job.ts'
import { resourcesOf } from '../../core/shared-resources.ts'
import type { RunDescriptor, SessionTask, ToWorker } from './messages.ts'
import { Outbox } from './outbox.ts'
import { forwardingLog } from './wire-log.ts'
import { WorkerRun } from './worker-run.ts'

/**
 * The entry of a worker thread: has the job, opens its sinks, runs the groups that come, and closes everything when it is told to. The pool runs it
 * once a thread, as a task that lasts as long as the run does; everything else goes over the port.
 *
 * A thread that could not open says so and stays: the driver ends it, for what failed to import would be remembered as failed.
 */
export async function runSession({ descriptor, port }: SessionTask): Promise<void> {
  const outbox = new Outbox(port)
  process.once('exit', exitCode => outbox.send({ lastWords: { exitCode } }))
  process.on('uncaughtExceptionMonitor', error => outbox.send({ lastWords: { uncaught: errorToWire(error) } }))
  const over = new AbortController()
  const closing = Promise.withResolvers<void>()
  let run: WorkerRun | undefined
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'pack':
        return run?.take(message)
      case 'abort':
        return run?.abort(message.signalId, message.reason)
      case 'over':
        return over.abort(errorFromWire(message.reason))
      case 'close':
        return closing.resolve()
      default:
        return message satisfies never
    }
  })

  let job: RunnableJob | undefined
  try {
    job = await importRun(descriptor)
    const { streamId, concurrency } = descriptor
    const log = forwardingLog(call => outbox.addLog(call))
    run = await WorkerRun.open(job, { streamId, log, signal: over.signal }, concurrency, outbox)
    outbox.send({ opened: true })
  } catch (error) {
    if (job !== undefined) await closeAll(job)
    outbox.send({ failed: errorToWire(error) })
    return new Promise(() => {})
  }
  await closing.promise
  await run.settled()
  await closeAll(job)
  outbox.send()
  port.close()
}

/** The run's job, if it is the one that the driver has. */
async function importRun({ module, job: name, stream, outputs, fingerprint }: RunDescriptor): Promise<RunnableJob> {
  const job = (await importJob(module, name)).runnable({ stream, outputs })
  // After the import: were a file changed in between, the fingerprint would be of code that this thread does not run.
  const own = job.origin && fingerprintJob({ ...job.origin, module })
  const differences = own === undefined ? ['how it is declared'] : describeDifference(own, fingerprint)
  if (differences.length === 0) return job
  throw new JobError(
    `${module} gives a thread another job ${name} than its driver has: it differs in ${differences.join(', ')}. ` +
      'If its files were changed since the driver started, start the driver again. A job must declare the same in every thread, whatever it reads when it is imported.',
    { details: { module, name, differs: true, differences } },
  )
}

/** Sources and sinks, each once, whatever one of them says. */
async function closeAll(job: RunnableJob): Promise<void> {
  await Promise.allSettled(resourcesOf(job).map(async resource => resource.close?.()))
}
