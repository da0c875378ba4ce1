import { JobError } from '../../../src/core/errors.ts'
import { doorOf } from '../../../src/core/job-door.ts'
import { fingerprintImported } from '../../../src/core/job-fingerprint.ts'
import { parseOptions } from '../../../src/util/parse-options.ts'
import { type ServeOptions, schemaFor } from './host-options.ts'
import { Server, type TaskServer } from './task-server.ts'

/**
 * Runs tasks of a job for its drivers, which find this executor over Redis: what `tidemark executor` does.
 *
 *     const server = await serveTasks(job, { url: process.env.REDIS_URL, executor: threads({ size: 4 }), slots: 4 })
 *     process.once('SIGTERM', () => server.drain())
 *     await server.done
 *
 * Resolves when drivers see it. It then lives through outages of Redis until it is told to leave.
 *
 * @param job - what `stream(…)…to(…)` gives
 * @throws ConfigError listing every option that is wrong; JobError for what is no job, or one whose module nobody knows; ConnectionError, AuthError and
 * UnsupportedError where the Redis cannot be used
 */
export async function serveTasks(job: unknown, options: ServeOptions): Promise<TaskServer> {
  const complete = parseOptions(schemaFor(options), options, 'serveTasks')
  const door = doorOf(job)
  if (door === undefined)
    throw new JobError("serveTasks takes a job, such as the default export of its module: stream({ name: '…' }).from(…).to(…).")
  const { origin } = door.runnable()
  if (origin?.module === undefined) {
    throw new JobError(
      `Nobody knows which module job ${door.name} comes from, so its drivers cannot be told that this is the same job. ` +
        'Call stream() in a module of its own.',
    )
  }
  const server = new Server(door, fingerprintImported(origin), complete)
  await server.start()
  return server
}
