import { consoleSink } from '../../../connectors/console/index.ts'
import { isTidemarkError } from '../../../src/core/errors.ts'
import { running, task } from '../files/files-task.ts'

// Run as a process of its own: prints as many rows as its argument says, and on stderr how that failed.
try {
  await consoleSink().write(task(), rows(Number(process.argv[2])), running)
} catch (error) {
  process.stderr.write(isTidemarkError(error) ? `${error.code}: ${error.message.split('.')[0]}\n` : `${error}\n`)
}

async function* rows(count: number) {
  for (let from = 0; from < count; from += 1000) yield Array.from({ length: 1000 }, (_, row) => ({ id: from + row }))
}
