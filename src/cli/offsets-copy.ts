import type { Command } from 'commander'
import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { type CopyStanding, finishCopy, lookAtCopy } from '../driver/surgery-copy.ts'
import { askYes, type ConfirmOptions, cannotAsk, howToGo } from './confirm.ts'
import { withStream } from './open-stream.ts'
import { addChangeOptions, addStreamArguments } from './options.ts'
import { printJson, showCount, textStream } from './print.ts'
import { parseStoreUrl } from './store-url.ts'

type CopyOptions = ConfirmOptions & { readonly store?: string; readonly stream?: string; readonly to?: string; readonly json?: boolean }

export function addCopyCommand(offsets: Command): void {
  const command = offsets.command('copy').description('move a stream to another store, with its positions, its begun batch and its history')
  addChangeOptions(
    addStreamArguments(command).option('--to <url>', 'the store to move it to (or TIDEMARK_TO_STORE, which ps does not show)'),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  tidemark offsets copy orders.ts --to postgres://user@host/database\n' +
        '  tidemark offsets copy --stream orders --store zookeeper://host:2181/tidemark --to postgres://user@host/database --yes\n\n' +
        'It takes the lease, so that a driver that runs stops with FencedError, retires the stream in the old store, and then puts it into the new one:\n' +
        'at no time can both be run. If it is cut short, run it again: it goes on. Then let the job name the new store.',
    )
    .action(copyStream)
}

async function copyStream(path: string | undefined, options: CopyOptions): Promise<void> {
  const to = options.to ?? process.env.TIDEMARK_TO_STORE
  if (to === undefined || to === '') throw new ConfigError('Where to? Add --to with the URL of the new store, or set TIDEMARK_TO_STORE.')
  const target = parseStoreUrl(to, options.to === undefined ? 'TIDEMARK_TO_STORE' : '--to')
  const out = textStream(options)
  const way = howToGo(options)
  await withStream(path, options, async ({ stream, store: source }) => {
    const store = await target.open()
    try {
      await copyBetween(source, store, stream)
    } finally {
      await store.close()
    }
  })

  async function copyBetween(source: OffsetStore, store: OffsetStore, stream: string): Promise<void> {
    const signal = new AbortController().signal
    const standing = await lookAtCopy(source, store, stream, target.shown, signal)
    out.write(`${describeCopy(standing, stream, target.shown)}\n`)
    const isDone = standing.step === 'done'
    if (!isDone && way === 'refuse') throw cannotAsk()
    const isAgreed = !isDone && (way === 'do' || (way === 'ask' && (await askYes(`Move ${stream} to ${target.shown}?`, {}))))
    if (isAgreed) await finishCopy(source, store, stream, target.shown, signal)
    if (options.json) {
      const { epoch, lastBatchId, offsets } = standing.state
      printJson({ stream, to: target.shown, changed: isAgreed, dryRun: way === 'show', epoch, lastBatchId, partitions: offsets.length })
    } else if (isAgreed) out.write(`${stream}: moved. It is retired where it was; let the job name the new store before it runs again.\n`)
    else if (!isDone) out.write('Nothing was changed.\n')
  }
}

function describeCopy({ step, state }: CopyStanding, stream: string, target: string): string {
  const { epoch, lastBatchId, offsets, pending } = state
  switch (step) {
    case 'begin': {
      const begun = pending === undefined ? '' : `, batch ${pending.id} begun, which goes with it`
      const what = `${stream}: epoch ${epoch}, last batch ${lastBatchId}, ${showCount(offsets.length, 'partition')}${begun}`
      return `${what}\nIt is retired in this store and then put into ${target}; a driver that runs now stops with FencedError.`
    }
    case 'restore':
      return `${stream} is retired here, and a copy to ${target} was cut short. It goes on by putting it there.`
    case 'done':
      return `${stream} is in ${target} already. Nothing is left to do.`
    default:
      return step satisfies never
  }
}
