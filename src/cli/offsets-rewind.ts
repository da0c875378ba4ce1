import type { Command } from 'commander'
import { placeInLog } from '../driver/surgery-bounds.ts'
import { findRewind } from '../driver/surgery-rewind.ts'
import { type MoveOptions, moveStream } from './move-stream.ts'
import { addChangeOptions, addMoveOptions } from './options.ts'
import { parseCount } from './parse-count.ts'
import { showCount } from './print.ts'

export function addRewindCommand(offsets: Command): void {
  const command = offsets
    .command('rewind')
    .description('put a stream back to where it stood before its newest batches, by its history')
    .argument('<job>', 'the job module')
    .requiredOption('--batches <count>', 'how many committed batches to take back', parseCount('--batches'))
  addChangeOptions(addMoveOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets rewind orders.ts --batches 1 --dry-run\n  tidemark offsets rewind orders.ts --batches 3 --yes\n\n' +
        'Batch numbers go on: what is read again comes under new ones. Batches that were taken back before do not count.\n' +
        'To run a batch once more without moving the stream, use tidemark replay.',
    )
    .action((path: string, options: MoveOptions & { readonly batches: number }) =>
      moveStream(path, options, {
        title: `rewind by ${showCount(options.batches, 'batch', 'batches')}`,
        async find({ store, stream }, { offsets }, bounds, signal) {
          const { positions, batchIds } = await findRewind(store.history(stream, { signal }), offsets, options.batches)
          const [newest, oldest] = [batchIds[0], batchIds.at(-1)]
          const which = newest === oldest ? `batch ${newest}` : `batches ${oldest} to ${newest}`
          return { positions: placeInLog(positions, bounds), notes: [`That is where it stood before ${which}.`] }
        },
      }),
    )
}
