import type { Command } from 'commander'
import { withStream } from './open-stream.ts'
import { addStreamArguments } from './options.ts'

export function addExportCommand(offsets: Command): void {
  addStreamArguments(offsets.command('export').description('print a whole stream as JSON: positions, the begun batch, the history'))
    .addHelpText(
      'after',
      '\nExample:\n  tidemark offsets export orders.ts > orders.json\n\n' +
        'It is a copy as of now, while the stream runs on. To move a stream to another store, use copy: it ends the old one first.',
    )
    .action((path: string | undefined, options: { readonly store?: string; readonly stream?: string }) =>
      withStream(path, options, async ({ stream, store }) => {
        process.stdout.write(`${JSON.stringify(await store.snapshot(stream))}\n`)
      }),
    )
}
