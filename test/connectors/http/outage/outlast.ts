import { onTestFinished } from 'vitest'
import type { StreamEvent } from '../../../../src/core/events.ts'
import type { Executor } from '../../../../src/core/executor.ts'
import { silentLog } from '../../../../src/core/log.ts'
import { waitUntil } from '../../../support/services/wait-until.ts'
import { Endpoint } from '../endpoint.ts'
import { PARTITIONS } from './rows.ts'

/** How often the endpoint is asked in vain before it is back. */
const PROBES = 6

/** An endpoint for the job, which finds it by the environment: set before it is imported. */
export async function openEndpoint(): Promise<Endpoint> {
  const endpoint = await Endpoint.open()
  process.env.TIDEMARK_TEST_URL = endpoint.url
  return endpoint
}

/** What an outage does: the endpoint answers, and says that it cannot, or nobody listens. */
export type Outage = 'answers 503' | 'is gone'

/**
 * Runs the job while its endpoint is away from the second request on, brings the endpoint back when it was asked for often enough, and gives what
 * listeners were told.
 */
export async function outlast(endpoint: Endpoint, outage: Outage, executor: Executor, name: string): Promise<StreamEvent[]> {
  const events: StreamEvent[] = []
  const { default: job } = await import('./job.ts')
  const { port } = endpoint
  endpoint.act = async (_, number) => {
    if (number === 0) return { status: 200, takes: true }
    if (outage === 'is gone') await endpoint.close()
    return { status: 503, body: 'in maintenance' }
  }
  const failures = () => events.filter(event => event.type === 'taskEnded' && event.task.willRetry).length
  const run = await job.start({ name, executor, until: 'latest', log: silentLog, listeners: [event => events.push(event)] })
  onTestFinished(() => run.stop({ now: true }))
  const isOver = run.done.then(
    () => true,
    () => true,
  )
  await waitUntil(
    'tasks to have failed again and again',
    async () => failures() >= PROBES * PARTITIONS || (await Promise.race([isOver, false])),
  )
  endpoint.act = () => 'take'
  if (outage === 'is gone') await endpoint.listen(port)
  await run.done
  return events
}

/** What counts of the events: the colours of the health with their reasons, batches that failed, errors that were told. */
export function told(events: readonly StreamEvent[]) {
  return {
    health: events.flatMap(event => (event.type === 'health' ? [[event.status, event.reason]] : [])),
    failed: events.filter(({ type }) => type === 'batchFailed' || type === 'streamStopped'),
    errors: events.flatMap(event => (event.type === 'error' ? [event.error.message] : [])),
    batches: events.filter(({ type }) => type === 'batchCompleted').length,
  }
}
