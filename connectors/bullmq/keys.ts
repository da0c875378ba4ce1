import { escapeRedisName } from '../../src/util/escape-redis-name.ts'

/**
 * The keys of one job, which its driver and its executors share. All have one hash tag, and so are on one node of a Cluster. Queues of BullMQ are there
 * too, one an executor, named by the executor's id.
 */
export type JobKeys = {
  /** What BullMQ calls the prefix of its queues. */
  readonly queuePrefix: string
  /** Sorted set: executor ids by when they were last seen, ms by Redis' clock. */
  readonly executors: string
  /** Hash: executor id to `ExecutorInfo`. */
  readonly executorInfo: string
  /** Hash: stream to `<ms when its driver was last seen>|<RunInfo>`. The live stream and its replays run side by side. */
  readonly runs: string
  /** Sorted set: ids of queue jobs that nobody waits for any more, by when that was. */
  readonly cancelled: string
}

export function jobKeys(prefix: string, job: string): JobKeys {
  const tag = `{${escapeRedisName(prefix)}:${escapeRedisName(job)}}`
  return {
    queuePrefix: tag,
    executors: `${tag}:executors`,
    executorInfo: `${tag}:executor-info`,
    runs: `${tag}:runs`,
    cancelled: `${tag}:cancelled`,
  }
}

/** BullMQ's lock of an active job, which its executor renews; gone while the job is active, its executor is. */
export function lockKey({ queuePrefix }: JobKeys, executor: string, queueJob: string): string {
  return `${queuePrefix}:${executor}:${queueJob}:lock`
}

/** BullMQ's own keys of one executor's queue, as far as a look reads them. */
export function queueKeys({ queuePrefix }: JobKeys, executor: string) {
  const queue = `${queuePrefix}:${executor}`
  return {
    wait: `${queue}:wait`,
    active: `${queue}:active`,
    completed: `${queue}:completed`,
    failed: `${queue}:failed`,
    job: (id: string) => `${queue}:${id}`,
  }
}
