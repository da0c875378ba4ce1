import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { Command } from 'commander'
import { ConfigError, ConflictError, errorMessage } from '../core/errors.ts'
import type { StreamSnapshot } from '../core/offset-store.ts'
import { checkSnapshot } from '../core/store-values.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { withStream } from './open-stream.ts'
import { addChangeOptions, addStreamArguments } from './options.ts'
import { printJson, showCount, textStream } from './print.ts'

type ImportOptions = ConfirmOptions & { readonly store?: string; readonly stream?: string; readonly json?: boolean }

export function addImportCommand(offsets: Command): void {
  const command = offsets.command('import').description('put an exported stream into a store that does not have it')
  addChangeOptions(addStreamArguments(command).argument('[file]', 'what export printed; - is the standard input'))
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets import orders.ts orders.json\n' +
        '  tidemark offsets import orders.json --stream orders --store sqlite:orders.offsets.db\n  tidemark offsets import orders.ts - < orders.json',
    )
    .action(importStream)
}

async function importStream(first: string | undefined, second: string | undefined, options: ImportOptions): Promise<void> {
  // Without a job the file is the only argument.
  const [path, file] = second === undefined && options.stream !== undefined ? [undefined, first] : [first, second]
  if (file === undefined) throw new ConfigError('Which file? Name what export printed, or - for the standard input.')
  const snapshot = await readSnapshot(file)
  await withStream(path, options, async ({ stream, store }) => {
    if (snapshot.stream !== stream) {
      throw new ConfigError(
        `${file} holds stream ${snapshot.stream}, and this is ${stream}. Outputs know a stream by its name, so it is not imported under another one.`,
      )
    }
    const state = await store.read(stream)
    if (state.streamId !== undefined) {
      throw new ConflictError(
        `Import refused: the store has a stream ${stream} already, at epoch ${state.epoch} with last batch ${state.lastBatchId}. ` +
          'Remove it first, with `tidemark streams rm`, if it is not needed.',
      )
    }
    const { epoch, lastBatchId, pending, offsets, history } = snapshot
    const out = textStream(options)
    out.write(
      `${stream}: epoch ${epoch}, last batch ${lastBatchId}, ${showCount(offsets.length, 'partition')}, ${showCount(history.length, 'history entry', 'history entries')}` +
        `${pending === null ? '' : `, batch ${pending.id} begun`}\n`,
    )
    out.write(
      'Where it was exported from it must not run any more: two stores would grant the same epochs. (`offsets copy` sees to that.)\n',
    )
    const way = howToGo(options)
    const summary = { stream, epoch, lastBatchId, partitions: offsets.length }
    if (way === 'refuse') throw cannotAsk()
    const isDone = way === 'do' || (way === 'ask' && (await askYes(`Import ${stream}?`, {})))
    if (isDone) await store.restore(snapshot)
    if (options.json) printJson({ ...summary, changed: isDone, dryRun: way === 'show' })
    else if (isDone) out.write(`${stream}: imported. The next run goes on from there.\n`)
    else out.write('Nothing was changed.\n')
  })
}

async function readSnapshot(file: string): Promise<StreamSnapshot> {
  let content: string
  try {
    content = file === '-' ? await text(process.stdin) : await readFile(file, 'utf8')
  } catch (error) {
    // Without its cause, whose stack would point into the command line's own code.
    throw new ConfigError(`${file} cannot be read: ${errorMessage(error)}`)
  }
  let snapshot: StreamSnapshot
  try {
    snapshot = JSON.parse(content)
  } catch (error) {
    throw new ConfigError(`${file} is not what \`offsets export\` prints: ${errorMessage(error)}`)
  }
  if (typeof snapshot?.stream !== 'string' || !Array.isArray(snapshot.offsets) || !Array.isArray(snapshot.history)) {
    throw new ConfigError(`${file} is not what \`offsets export\` prints: it is JSON without a stream, offsets and history.`)
  }
  checkSnapshot(snapshot)
  return snapshot
}
