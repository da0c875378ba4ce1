import type { DataLossError } from '../core/errors.ts'
import type { TaskLoss } from '../core/executor.ts'
import type { OffsetRange } from '../core/values.ts'

/**
 * What of a loss tasks have not told of yet: a task sees what its range lacks, the planner afterwards what the partition does. Undefined where
 * all of it is told.
 */
export function untold({ lossCause, missing, details }: DataLossError, told: readonly TaskLoss[]): readonly OffsetRange[] | undefined {
  const known = told
    .filter(({ cause }) => cause === lossCause)
    .flatMap(loss => loss.missing.filter(({ topic, partition }) => topic === details.topic && partition === details.partition))
  if (known.length === 0) return missing
  const rest = known.reduce<readonly OffsetRange[]>((left, range) => left.flatMap(part => subtract(part, range)), missing)
  return rest.length === 0 ? undefined : rest
}

function subtract(from: OffsetRange, range: OffsetRange): OffsetRange[] {
  const before = { ...from, untilOffset: Math.min(from.untilOffset, range.fromOffset) }
  const after = { ...from, fromOffset: Math.max(from.fromOffset, range.untilOffset) }
  return [before, after].filter(part => part.fromOffset < part.untilOffset)
}
