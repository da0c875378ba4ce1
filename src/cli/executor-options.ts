import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import type { Executor } from '../core/executor.ts'
import { threads } from '../executors/threads.ts'
import { connectionOf, findExecutorsUrl } from './executors-url.ts'
import { parseCount } from './parse-count.ts'

/** Where a command runs tasks: in threads of its own, on the executors of other machines, or as the job says. */
export type ExecutorOptions = { readonly threads?: number; readonly maxHeapMib?: number; readonly executors?: string }

export function addExecutorOptions(command: Command): Command {
  const meeting = 'run tasks on other machines, each with tidemark executor <job> and the same redis: URL'
  return addExecutorsOption(addThreadOptions(command, 'run tasks in this many threads'), meeting)
}

/** `--threads` and `--max-heap-mib`, for commands that run tasks. */
export function addThreadOptions(command: Command, threadsAre: string): Command {
  return command
    .option('--threads <n>', threadsAre, parseCount('--threads'))
    .option('--max-heap-mib <n>', 'the heap of a thread, MiB (2048)', parseCount('--max-heap-mib'))
}

/** `--executors`, for commands that go to where a driver and its executors meet. */
export function addExecutorsOption(
  command: Command,
  meeting = 'the Redis where driver and executors meet: redis: rediss:, with ?prefix=name&ca=ca.pem',
): Command {
  return command.option('--executors <url>', `${meeting} (or TIDEMARK_EXECUTORS, which ps does not show)`)
}

/** The threads that a command line asks for. */
export function openThreads(size: number, maxHeapMib: number | undefined): Executor {
  return threads({ size, ...(maxHeapMib !== undefined && { maxHeapMiB: maxHeapMib }) })
}

/** The executor that the command line names, or undefined for the job's own. Throws `ConfigError` for two at once. */
export async function openExecutor({ threads: size, maxHeapMib, executors }: ExecutorOptions): Promise<Executor | undefined> {
  if (size !== undefined) {
    if (executors !== undefined) throw new ConfigError('--threads and --executors are two places to run tasks in. Give one of them.')
    return openThreads(size, maxHeapMib)
  }
  if (maxHeapMib !== undefined) throw new ConfigError('--max-heap-mib is the heap of a thread, and there are none. Add --threads.')
  const url = findExecutorsUrl(executors)
  if (url === undefined) return undefined
  const { bullmq } = await url.load()
  return bullmq(connectionOf(url))
}
