import type { Command } from 'commander'

/** `--store`, as every command has it. */
export function addStoreOption(command: Command): Command {
  return command.option(
    '--store <url>',
    'the offset store: sqlite: postgres: redis: rediss: zookeeper: kafka: (or TIDEMARK_STORE, which ps does not show)',
  )
}

/** `[job]`, or `--stream` where there is none at hand, for commands that need nothing but the store. */
export function addStreamArguments(command: Command): Command {
  return addStoreOption(command.argument('[job]', 'the job module')).option(
    '--stream <name>',
    "a stream by its name: with --store in place of the job, or another one of the job's store",
  )
}

/** What a command has that changes a stream by hand. */
export function addChangeOptions(command: Command): Command {
  return command
    .option('--yes', 'do not ask')
    .option('--dry-run', 'show what would change, and change nothing')
    .option('--json', 'print the result as JSON')
}

/** `--steal`, for commands that take the lease. */
export function addStealOption(command: Command): Command {
  return command.option('--steal', 'also while a driver runs, which then stops with FencedError')
}

/** What `reset` and `rewind` share beside `--yes`, `--dry-run` and `--json`. */
export function addMoveOptions(command: Command): Command {
  return addStealOption(addStoreOption(command))
    .option('--discard', 'also while a batch is begun, which is given up; shows which of its tasks each output has applied')
    .option('--reason <text>', 'kept in the history')
}
