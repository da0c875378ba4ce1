import type { Command } from 'commander'
import { showPartition } from '../core/values.ts'
import { resolveTarget } from '../driver/surgery-target.ts'
import { type MoveOptions, moveStream } from './move-stream.ts'
import { addChangeOptions, addMoveOptions } from './options.ts'
import { parseTarget } from './parse-target.ts'

export function addResetCommand(offsets: Command): void {
  const command = offsets
    .command('reset')
    .description('put a stream elsewhere: what it has read may be read again, what it has not may be skipped')
    .argument('<job>', 'the job module')
    .requiredOption(
      '--to <where>',
      "'earliest', 'latest', a time such as 2026-11-20T00:00:00Z, or topic:partition:offset,… for some partitions",
    )
  addChangeOptions(addMoveOptions(command))
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets reset orders.ts --to earliest --dry-run\n  tidemark offsets reset orders.ts --to 2026-11-20T00:00:00Z\n' +
        "  tidemark offsets reset orders.ts --to orders:0:1200,orders:1:900 --yes --reason 'bad deploy of the 20th'\n\n" +
        'Offsets outside the log are refused: the next run would find them to be lost data.',
    )
    .action((path: string, options: MoveOptions & { readonly to: string }) => {
      const target = parseTarget(options.to)
      return moveStream(path, options, {
        title: `reset to ${options.to}`,
        async find({ sources }, _state, bounds, signal) {
          const { positions, withoutMatch } = await resolveTarget(sources, target, bounds, { signal })
          const names = withoutMatch.slice(0, 5).map(showPartition).join(', ')
          const more = withoutMatch.length > 5 ? ` and ${withoutMatch.length - 5} more` : ''
          return {
            positions,
            notes: withoutMatch.length === 0 ? [] : [`No record at or after ${options.to}, so to the end: ${names}${more}.`],
          }
        },
      })
    })
}
