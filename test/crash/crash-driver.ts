import type { NodeProcess } from '../src/cli/node-process.ts'
import { TidemarkProcess } from '../src/cli/tidemark-process.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { program } from '../support/programs/program.ts'

export type CrashOptions = {
  readonly folder: string
  readonly topics: readonly string[]
  /** Where the process ends or stops itself; see `strike.ts`. */
  readonly strike?: string
  /** Records a batch. @default 100 */
  readonly batch?: number
  /** @default 500 */
  readonly ttlMs?: number
}

/** A driver of the crash job in a process of its own. */
export function startDriver({ folder, topics, strike = '', batch = 100, ttlMs = 500 }: CrashOptions, ...args: string[]): NodeProcess {
  const env = {
    CRASH_BROKERS: kafkaCluster().brokers.join(','),
    CRASH_TOPICS: topics.join(','),
    CRASH_FOLDER: folder,
    CRASH_BATCH: String(batch),
    CRASH_TTL_MS: String(ttlMs),
    STRIKE: strike,
  }
  return new TidemarkProcess(['run', program('crash-job').path, ...args], { env })
}
