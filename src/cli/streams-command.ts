import type { Command } from 'commander'
import { ConflictError } from '../core/errors.ts'
import { withLease } from '../driver/surgery-lease.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { openNamedStore } from './open-store.ts'
import { addChangeOptions, addStealOption, addStoreOption } from './options.ts'
import { printJson, printTable, showCount, showNumber, textStream } from './print.ts'

type ListOptions = { readonly store?: string; readonly json?: boolean }
type RemoveOptions = ListOptions & ConfirmOptions & { readonly steal?: boolean }

export function addStreamsCommand(program: Command): void {
  const streams = addStoreOption(program.command('streams').description('list the streams of a store, or remove one'))
    .option('--json', 'print the streams as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark streams --store sqlite:orders.offsets.db\n  TIDEMARK_STORE=postgres://user@host/database tidemark streams --json\n' +
        '  tidemark streams rm orders~replay-1 --store sqlite:orders.offsets.db',
    )
    .action(listStreams)
  addChangeOptions(addStealOption(addStoreOption(streams.command('rm').description('remove a stream with its positions and its history'))))
    .argument('<name>', "the stream's name")
    .addHelpText('after', "\nExample:\n  tidemark streams rm 'orders~replay-1' --store sqlite:orders.offsets.db --yes")
    .action((name: string, _options: RemoveOptions, command: Command) => removeStream(name, command.optsWithGlobals()))
}

async function listStreams({ store: url, json }: ListOptions): Promise<void> {
  const store = await openNamedStore(url)
  try {
    const streams = []
    for (const stream of await store.streams()) streams.push({ stream, ...(await store.read(stream)) })
    if (json) {
      return printJson({
        streams: streams.map(({ stream, streamId, epoch, lastBatchId, pending, retired, offsets }) => ({
          ...{ stream, streamId, epoch, lastBatchId, pending: pending?.id ?? null, partitions: offsets.length, retired: retired ?? null },
        })),
      })
    }
    if (streams.length === 0) {
      process.stdout.write('The store has no streams.\n')
      return
    }
    const rows = streams.map(({ stream, epoch, lastBatchId, pending, retired, offsets }) => [
      ...[stream, showNumber(epoch), showNumber(lastBatchId), showNumber(pending?.id), showNumber(offsets.length), retired ?? '-'],
    ])
    printTable(['stream', 'epoch', 'last batch', 'begun', 'partitions', 'retired'], rows, { align: 'words' })
  } finally {
    await store.close()
  }
}

async function removeStream(stream: string, options: RemoveOptions): Promise<void> {
  const out = textStream(options)
  const way = howToGo(options)
  const store = await openNamedStore(options.store)
  try {
    const { streamId, epoch, lastBatchId, offsets, pending, retired } = await store.read(stream)
    if (streamId === undefined) throw new ConflictError(`The store has no stream ${stream}. \`tidemark streams\` lists those it has.`)
    if (retired !== undefined) {
      throw new ConflictError(`${stream} was retired (${retired}) and stays as it is, so that it cannot be run from here by mistake.`)
    }
    out.write(
      `${stream}: epoch ${epoch}, last batch ${lastBatchId}, ${showCount(offsets.length, 'partition')}` +
        `${pending === undefined ? '' : `, batch ${pending.id} begun and not committed`}\n`,
    )
    out.write(
      'All of it goes, its history too. A job of this name begins anew; outputs that keep a ledger know the stream that was, and refuse another one of\n' +
        'its name until they are told with run --adopt.\n',
    )
    if (way === 'refuse') throw cannotAsk()
    const isDone = way !== 'show' && (await remove())
    if (options.json) printJson({ stream, changed: isDone, dryRun: way === 'show', epoch, lastBatchId })
    else out.write(isDone ? `${stream}: removed\n` : 'Nothing was changed.\n')
  } finally {
    await store.close()
  }

  function remove(): Promise<boolean> {
    return withLease(store, stream, { steal: options.steal ?? false }, async (lease, signal) => {
      if (way === 'ask' && !(await askYes(`Remove ${stream}?`, { signal }))) return false
      await store.remove(lease, { signal })
      return true
    })
  }
}
