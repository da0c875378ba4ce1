import { TidemarkError } from '../../../src/core/errors.ts'
import type { CompletedBatch } from '../../../src/core/sink.ts'

/**
 * Refuses a batch of which a task is not to be seen: a network file system may show another machine's files late, and a manifest without them would
 * lose their rows. Intents of early versions do not say how many tasks there are.
 */
export function checkAllThere(batch: CompletedBatch, directory: string, found: number): void {
  const expected = expectedTasks(batch)
  if (expected === undefined || expected === found) return
  throw new TidemarkError(
    'CONNECTION',
    `Batch ${batch.id} of output ${batch.output} has ${expected} tasks, and ${found} of them are to be seen in ${directory}. A network file system may ` +
      'show files of other machines late, so it is looked for again; where it stays so, mount it without caching of folders, or see who removes files.',
    { details: { batchId: batch.id, output: batch.output, directory, expected, found }, retryable: true },
  )
}

function expectedTasks({ facts, output }: CompletedBatch): number | undefined {
  const tasks: unknown = typeof facts === 'object' && facts !== null && 'tasks' in facts ? facts.tasks : undefined
  const count: unknown = typeof tasks === 'object' && tasks !== null ? Reflect.get(tasks, output) : undefined
  return typeof count === 'number' ? count : undefined
}
