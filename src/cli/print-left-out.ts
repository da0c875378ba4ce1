import type { RunSummary } from '../driver/run-summary.ts'
import { showCount } from './print.ts'

/** Says which records have no rows and why, a line for each reason; nothing where all have. */
export function printLeftOut(
  out: NodeJS.WritableStream,
  { skipped, deadLetters, outsideTime }: Pick<RunSummary, 'skipped' | 'deadLetters' | 'outsideTime'>,
): void {
  if (outsideTime > 0) out.write(`${showCount(outsideTime, 'record')} left out for their timestamps\n`)
  if (skipped > 0) out.write(`${showCount(skipped, 'record')} skipped, for the job failed on them\n`)
  if (deadLetters > 0) out.write(`${showCount(deadLetters, 'dead letter')}, for the job failed on their records\n`)
}
