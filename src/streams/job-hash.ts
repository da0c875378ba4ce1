import { createHash } from 'node:crypto'
import type { DeclaredOutput } from './flow.ts'

/**
 * A short hash of a job's shape: its outputs, what they promise and the stages that lead to them. It goes into every intent and says whether
 * the job that replays a batch is the one that began it. Functions count by kind and name only, so that an unchanged job hashes alike everywhere.
 */
export function hashJob(stream: string, outputs: Iterable<DeclaredOutput>): string {
  const shape = Array.from(outputs, ({ name, source, stages, sink }) => ({
    name,
    source: source.name,
    stages: stages.map(stage => stage.label),
    guarantee: sink.guarantee,
    ordering: sink.ordering,
  }))
  return createHash('sha256')
    .update(JSON.stringify({ v: 1, stream, shape }))
    .digest('hex')
    .slice(0, 16)
}
