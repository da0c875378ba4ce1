import type { Command } from 'commander'
import { type Batch, countOffsets, type OffsetRange } from '../core/values.ts'
import { addStoreOption } from './options.ts'
import { printJson, printTable, showNumber } from './print.ts'
import { type InspectOptions, withInspection } from './with-inspection.ts'

export function addPlanCommand(program: Command): void {
  addStoreOption(
    program.command('plan').description('show what the next batch would be; touches nothing').argument('<job>', 'the job module'),
  )
    .option('--json', 'print the plan as JSON')
    .addHelpText('after', '\nExample:\n  tidemark plan orders.ts --json')
    .action((path: string, options: InspectOptions) =>
      withInspection(path, options, ({ stream, pending, next }) => {
        if (options.json) return printJson({ stream, pending: pending ?? null, next })
        if (pending !== undefined) printPending(pending)
        if (next.ranges.length === 0) {
          process.stdout.write(`${stream}: nothing to read; batch ${next.id} would be next.\n`)
          return
        }
        process.stdout.write(
          `${stream}: batch ${next.id} would read ${showNumber(count(next.ranges))} offsets and leave ${showNumber(next.lagAfter)}.\n`,
        )
        printRanges(next.ranges)
      }),
    )
}

/** What is begun and not committed, as `plan` and `offsets show` print it. */
export function printPending(batch: Batch): void {
  const begun = new Date(batch.batchTime).toISOString()
  process.stdout.write(`Batch ${batch.id} (${begun}) is begun and not committed; the next run replays it as it is:\n`)
  printRanges(batch.ranges)
}

function printRanges(ranges: readonly OffsetRange[]): void {
  printTable(
    ['task', 'partition', 'from', 'until', 'offsets'],
    ranges.map(({ topic, partition, fromOffset, untilOffset }, index) => [
      String(index),
      `${topic}/${partition}`,
      showNumber(fromOffset),
      showNumber(untilOffset),
      showNumber(untilOffset - fromOffset),
    ]),
  )
}

function count(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, range) => sum + countOffsets(range), 0)
}
