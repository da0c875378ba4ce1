import type { PartitionOffset } from '../core/values.ts'
import type { JobSource } from './driver-job.ts'

/**
 * Tells sources of the topics that the stream has read. One that is gone now was deleted: to a source that knows nothing of it, its name would
 * look misspelt, and lost data would be told as a mistake of the job.
 */
export function rememberTopics(sources: readonly JobSource[], committed: ReadonlyMap<string, PartitionOffset>): void {
  const topics = new Set(Array.from(committed.values(), position => position.topic))
  for (const { source } of sources) source.remember?.([...topics].filter(topic => source.names?.(topic) ?? false))
}
