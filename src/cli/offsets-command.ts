import type { Command } from 'commander'
import { printPending } from './plan-command.ts'
import { printJson, printTable, showNumber } from './print.ts'
import { type InspectOptions, withInspection } from './with-inspection.ts'

export function addOffsetsCommand(program: Command): void {
  const offsets = program
    .command('offsets')
    .description('look at where a stream stands')
    .addHelpText('after', '\nExample:\n  tidemark offsets show orders.ts')
  offsets
    .command('show')
    .description('committed, earliest and latest offsets, lag, and the begun batch')
    .argument('<job>', 'the job module')
    .option('--store <url>', 'the offset store, such as sqlite:orders.offsets.db (or TIDEMARK_STORE)')
    .option('--json', 'print the offsets as JSON')
    .addHelpText('after', '\nExample:\n  tidemark offsets show orders.ts --json')
    .action((path: string, options: InspectOptions) =>
      withInspection(path, options, found => {
        const { stream, streamId, epoch, lastBatchId, pending, partitions } = found
        if (options.json) return printJson({ stream, streamId: streamId ?? null, epoch, lastBatchId, pending: pending ?? null, partitions })
        const never = streamId === undefined ? ', never started: partitions without a committed offset begin where the job says' : ''
        process.stdout.write(`${stream}: epoch ${epoch}, last batch ${lastBatchId}${never}\n`)
        const rows = partitions.map(at => [
          `${at.topic}/${at.partition}`,
          showNumber(at.committed),
          showNumber(at.earliest),
          showNumber(at.latest),
          showNumber(at.lag),
        ])
        const lag = partitions.reduce((sum, at) => sum + (at.lag ?? 0), 0)
        printTable(['partition', 'committed', 'earliest', 'latest', 'lag'], [...rows, ['total', '', '', '', showNumber(lag)]])
        if (pending !== undefined) printPending(pending)
      }),
    )
}
