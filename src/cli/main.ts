import { Command, CommanderError } from 'commander'
import { ownVersion } from '../core/own-version.ts'
import { addBackfillCommand } from './backfill-command.ts'
import { addDeadLettersCommand } from './dead-letters-command.ts'
import { addExecutorCommand } from './executor-command.ts'
import { addOffsetsCommand } from './offsets-command.ts'
import { addPlanCommand } from './plan-command.ts'
import { addReplayCommand } from './replay-command.ts'
import { reportFailure } from './report-failure.ts'
import { addRunCommand } from './run-command.ts'
import { addStatusCommand } from './status-command.ts'
import { addStreamsCommand } from './streams-command.ts'

/** What stands behind the help of `tidemark`. */
export const EXAMPLES = `
Examples:
  tidemark run orders.ts                  run until stopped; Ctrl-C finishes the batch in hand, a second one stops at once
  tidemark run orders.ts --until latest   run up to what is there now, then exit
  tidemark run orders.ts --threads 4      tasks in four threads; --executors redis://cache:6379 gives them to other machines
  tidemark executor orders.ts --executors redis://cache:6379    run tasks for its driver, on any number of machines
  tidemark status orders.ts --executors redis://cache:6379      its executors and drivers, and when they were last seen
  tidemark plan orders.ts                 what the next batch would be; touches nothing
  tidemark offsets show orders.ts         committed, earliest and latest offsets, lag, the begun batch
  tidemark offsets reset orders.ts --to earliest    put a stream elsewhere; shows what that means and asks
  tidemark replay orders.ts --batch 17    run a batch of the history once more, beside the stream
  tidemark backfill orders.ts --from 2026-11-01 --to 2026-11-02    the job over a past, beside the stream
  tidemark deadletters show orders.ts     records that a function failed on; replay runs them again, into the outputs that went without
  tidemark streams --store sqlite:orders.offsets.db    the streams of a store

A store is a URL: sqlite:path/to/offsets.db, postgres://user@host/database, redis://host:6379 (rediss: with TLS), zookeeper://host:2181,host:2181/root
or kafka://host:9092,host:9092/topic. In TIDEMARK_STORE it is not in the process list. A table's schema in Postgres is ?tidemark_schema=name, a
prefix in Redis ?prefix=name; Kafka takes ?ssl=true and, for user:password@, ?mechanism=scram-sha-512 (plain by default).

Exit codes: 0 done or stopped, 1 failed, 2 usage, configuration or job, 3 data loss, 4 fenced or lease held, 130 stopped by a second Ctrl-C.`

/**
 * The command line: parses `argv`, runs the command and ends the process with its exit code, whatever the job left open. Results go to stdout,
 * log and progress to stderr.
 */
export async function main(argv: readonly string[]): Promise<never> {
  // Who reads may go first, as in `tidemark plan orders.ts | head -1`, and a terminal may be closed; neither may end a batch halfway.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  const code = await runCommand(argv)
  await Promise.all([process.stdout, process.stderr].map(flush))
  process.exit(code)
}

/** The command with all that it can do; nothing runs before it is given arguments. */
export function tidemarkProgram(): Command {
  const program = new Command('tidemark')
    .description('Kafka direct streams: deterministic offset ranges, exact replay, nothing lost and nothing doubled.')
    .version(ownVersion())
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .showHelpAfterError('(tidemark --help shows the commands and examples)')
  addRunCommand(program)
  addExecutorCommand(program)
  addPlanCommand(program)
  addOffsetsCommand(program)
  addReplayCommand(program)
  addBackfillCommand(program)
  addDeadLettersCommand(program)
  addStreamsCommand(program)
  addStatusCommand(program)
  return program
}

async function runCommand(argv: readonly string[]): Promise<number> {
  try {
    await tidemarkProgram().parseAsync(argv)
    return 0
  } catch (error) {
    // Commander has already said what was wrong with the call.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    return reportFailure(error)
  }
}

/** Resolves when what was written is with the system: a pipe takes it later, and exiting would drop it. */
function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => {
    if (stream.destroyed || stream.writableEnded) resolve()
    else stream.write('', () => resolve())
  })
}
