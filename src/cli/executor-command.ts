import { availableParallelism } from 'node:os'
import type { Command } from 'commander'
import type { TaskServer } from '../../connectors/bullmq/index.ts'
import { ConfigError } from '../core/errors.ts'
import { markExecuting } from '../core/job-door.ts'
import { defaultLog } from '../streams/default-log.ts'
import { addExecutorsOption, addThreadOptions, type ExecutorOptions, openThreads } from './executor-options.ts'
import { connectionOf, findExecutorsUrl } from './executors-url.ts'
import { loadJob } from './load-job.ts'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export function addExecutorCommand(program: Command): void {
  const command = program
    .command('executor')
    .description("run tasks of a job for its driver, on any number of machines: 'tidemark run' with the same --executors gives them out")
    .argument('<job>', 'the job module, the same as the driver has')
  addThreadOptions(addExecutorsOption(command), 'run tasks in this many threads (as many as there are processors)')
    .addHelpText(
      'after',
      `
It needs no offset store, but all that the job's sources and outputs need. SIGTERM or Ctrl-C: it ends and reports what it works on, takes nothing more,
and exits with 0; a second one exits at once with 130, and its tasks go to others within seconds.

Examples:
  tidemark executor orders.ts --executors redis://cache:6379
  TIDEMARK_EXECUTORS=rediss://:password@cache:6380 tidemark executor orders.ts --threads 8`,
    )
    .action(runExecutor)
}

async function runExecutor(
  path: string,
  { executors, threads: size = availableParallelism(), maxHeapMib }: ExecutorOptions,
): Promise<void> {
  const found = findExecutorsUrl(executors)
  if (found === undefined) {
    throw new ConfigError(
      'An executor must be told where it meets its driver: --executors redis://host:6379, or TIDEMARK_EXECUTORS, the same as for tidemark run.',
    )
  }
  const { serveTasks } = await found.load()
  markExecuting()
  const { job, internals } = await loadJob(path)
  const leave = new LeaveOnSignal()
  try {
    const server = await serveTasks(job, {
      ...{ ...connectionOf(found), slots: size, log: internals.log?.() ?? defaultLog() },
      executor: openThreads(size, maxHeapMib),
    })
    leave.watch(server)
    await server.done
  } finally {
    leave.close()
  }
}

/** The first signal drains, the second exits at once: its tasks go to others when their locks lapse. */
class LeaveOnSignal {
  #asked = 0
  #server: TaskServer | undefined
  readonly #onSignal = () => {
    this.#asked += 1
    if (this.#asked > 1) process.exit(130)
    this.#server?.drain()
  }

  constructor() {
    for (const signal of SIGNALS) process.on(signal, this.#onSignal)
  }

  watch(server: TaskServer): void {
    this.#server = server
    if (this.#asked > 0) server.drain()
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#onSignal)
  }
}
