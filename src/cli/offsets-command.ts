import type { Command } from 'commander'
import { addCopyCommand } from './offsets-copy.ts'
import { addExportCommand } from './offsets-export.ts'
import { addHistoryCommand } from './offsets-history.ts'
import { addImportCommand } from './offsets-import.ts'
import { addResetCommand } from './offsets-reset.ts'
import { addRewindCommand } from './offsets-rewind.ts'
import { addShowCommand } from './offsets-show.ts'

const EXAMPLES = `
Examples:
  tidemark offsets show orders.ts                              committed, earliest and latest offsets, lag
  tidemark offsets history orders.ts                           what happened to them, newest first
  tidemark offsets reset orders.ts --to earliest --dry-run     what beginning anew would mean
  tidemark offsets rewind orders.ts --batches 3                back to before the newest three batches
  tidemark offsets export orders.ts > orders.json              the whole stream as JSON
  tidemark offsets copy orders.ts --to postgres://host/db      move it to another store

What changes a stream takes its lease: it is refused while a driver runs, unless --steal.`

export function addOffsetsCommand(program: Command): void {
  const offsets = program
    .command('offsets')
    .description('look at where a stream stands, and put it elsewhere')
    .addHelpText('after', EXAMPLES)
  addShowCommand(offsets)
  addHistoryCommand(offsets)
  addResetCommand(offsets)
  addRewindCommand(offsets)
  addExportCommand(offsets)
  addImportCommand(offsets)
  addCopyCommand(offsets)
}
