import type { Command } from 'commander'
import type { NextBatch } from '../driver/inspect-job.ts'
import { withStream } from './open-stream.ts'
import { addStreamArguments } from './options.ts'
import { printPending } from './plan-command.ts'
import { printJson, printTable, showNumber } from './print.ts'
import { type InspectOptions, withInspection } from './with-inspection.ts'

type ShowOptions = InspectOptions & { readonly stream?: string }

export function addShowCommand(offsets: Command): void {
  addStreamArguments(offsets.command('show').description('committed, earliest and latest offsets, lag, and the begun batch'))
    .option('--json', 'print the offsets as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets show orders.ts --json\n' +
        '  tidemark offsets show --stream orders --store sqlite:orders.offsets.db     only what the store knows',
    )
    .action((path: string | undefined, options: ShowOptions) =>
      path === undefined || options.stream !== undefined
        ? showStored(path, options)
        : withInspection(path, options, found => showInspected(found, options)),
    )
}

function showInspected({ stream, streamId, epoch, lastBatchId, pending, retired, partitions }: NextBatch, { json }: ShowOptions): void {
  if (json) {
    const kept = retired === undefined ? {} : { retired }
    printJson({ stream, streamId: streamId ?? null, epoch, lastBatchId, ...kept, pending: pending ?? null, partitions })
    return
  }
  printHead({ stream, streamId, epoch, lastBatchId, retired })
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
}

/** What the store says of itself, without Kafka: all there is where only a store and a name are known. */
async function showStored(path: string | undefined, options: ShowOptions): Promise<void> {
  await withStream(path, options, async ({ stream, store }) => {
    const { offsets, pending, ...state } = await store.read(stream)
    if (options.json) {
      const partitions = offsets.map(({ topic, partition, offset }) => ({ topic, partition, committed: offset }))
      return printJson({ stream, ...state, streamId: state.streamId ?? null, pending: pending ?? null, partitions })
    }
    printHead({ stream, ...state, retired: state.retired })
    printTable(
      ['partition', 'committed'],
      offsets.map(({ topic, partition, offset }) => [`${topic}/${partition}`, showNumber(offset)]),
    )
    if (pending !== undefined) printPending(pending)
  })
}

function printHead({
  stream,
  streamId,
  epoch,
  lastBatchId,
  retired,
}: Pick<NextBatch, 'stream' | 'streamId' | 'epoch' | 'lastBatchId' | 'retired'>): void {
  const never = streamId === undefined ? ', never started: partitions without a committed offset begin where the job says' : ''
  process.stdout.write(`${stream}: epoch ${epoch}, last batch ${lastBatchId}${never}\n`)
  if (retired !== undefined) process.stdout.write(`Retired, and never to run from this store again: ${retired}\n`)
}
