import type { Command } from 'commander'
import { addDeadLettersReplay } from './dead-letters-replay.ts'
import { addDeadLettersShow } from './dead-letters-show.ts'

/** `tidemark deadletters`: records that a function of a job failed on. */
export function addDeadLettersCommand(program: Command): void {
  const command = program
    .command('deadletters')
    .description('records that a function of the job failed on, put aside by onRecordError: deadLetter(sink)')
  addDeadLettersShow(command)
  addDeadLettersReplay(command)
}
