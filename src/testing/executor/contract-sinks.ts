import { closeSync, existsSync, linkSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConnectionError, FencedError } from '../../core/errors.ts'
import { checkApplied } from '../../core/fence-rules.ts'
import type { Sink, SinkContext } from '../../core/sink.ts'
import type { Task } from '../../core/values.ts'
import { here, note, type WorkerId } from './notes.ts'
import { THROWN } from './thrown-errors.ts'

type WriteContext = Parameters<Sink<never>['write']>[2]

/** An output without a memory: it notes what reaches it, and each attempt of a task does so anew. */
export class NotingSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee: Sink<unknown>['guarantee'] = 'at-least-once'
  readonly ordering = 'none'
  protected readonly folder: string

  constructor(name: string, folder: string) {
    this.name = name
    this.folder = folder
  }

  async open({ output, stream, streamId }: SinkContext): Promise<void> {
    note(this.folder, { what: 'open', output, stream, streamId })
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, context: WriteContext): Promise<void> {
    try {
      await this.put(task, rows, context)
      note(this.folder, { what: 'wrote', task })
    } catch (error) {
      note(this.folder, { what: 'failed', task, message: String(error) })
      throw error
    }
  }

  async close(): Promise<void> {
    note(this.folder, { what: 'close', output: this.name })
  }

  protected async put(task: Task, rows: AsyncIterable<readonly unknown[]>, context: WriteContext): Promise<unknown[]> {
    const all: unknown[] = []
    for await (const array of rows) {
      context.signal.throwIfAborted()
      note(this.folder, { what: 'rows', task, rows: array })
      for (const row of array) all.push(row)
      await behave(task, this.folder, context)
    }
    return all
  }
}

/** What a ledger file holds: rows that are in for good, and whose attempt brought them. */
export type LedgerEntry = WorkerId & { readonly task: Task; readonly rows: readonly unknown[] }

/** An output that has each task once however often it is written: one file a task, which appears whole or not at all and is never replaced. */
export class LedgerSink extends NotingSink {
  override readonly guarantee = 'exactly-once'
  readonly allowsTwins = true

  async applied(task: Task): Promise<boolean> {
    const path = this.#pathOf(task)
    if (!existsSync(path)) return false
    const entry: LedgerEntry = JSON.parse(readFileSync(path, 'utf8'))
    return checkApplied(this.name, entry.task.range, task) === 'applied'
  }

  protected override async put(task: Task, rows: AsyncIterable<readonly unknown[]>, context: WriteContext): Promise<unknown[]> {
    const all = await super.put(task, rows, context)
    const entry: LedgerEntry = { ...here, task, rows: all }
    const aside = join(this.folder, `${task.attempt}-${here.pid}-${here.threadId}.aside`)
    writeFileSync(aside, JSON.stringify(entry))
    try {
      linkSync(aside, this.#pathOf(task))
    } catch (error) {
      // A twin was first: the rows are in.
      if (!(await this.applied(task))) throw error
    } finally {
      rmSync(aside)
    }
    return all
  }

  #pathOf({ output, batchId, index }: Task): string {
    return join(this.folder, `${output}-${batchId}-${index}.ledger`)
  }
}

/** Everything that ledgers of a stream hold. */
export function readLedger(folder: string): LedgerEntry[] {
  const files = readdirSync(folder).filter(file => file.endsWith('.ledger'))
  return files.map(file => JSON.parse(readFileSync(join(folder, file), 'utf8')))
}

/** What the topic's name asks for. */
async function behave({ range: { topic }, output }: Task, folder: string, { signal }: WriteContext): Promise<void> {
  const thrown = topic.startsWith('throws-') ? THROWN[topic.slice('throws-'.length)] : undefined
  if (thrown !== undefined) throw thrown()
  if (topic === 'one-fails' && output === 'odd') throw new ConnectionError('odd is away', { details: { output } })
  if (topic === 'one-fenced') {
    if (output === 'odd') throw new FencedError('odd is fenced')
    await untilAborted(signal)
  }
  if (topic === 'one-deaf' && output === 'odd') await new Promise(() => {})
  if (topic === 'always-exits' || (topic === 'exits-once' && isFirst(folder, topic))) process.exit(7)
  if (topic === 'until-aborted') await untilAborted(signal)
  if (topic === 'deaf') await new Promise(() => {})
}

async function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    if (signal.aborted) reject(signal.reason)
  })
}

/** Whether this happens for the first time in all threads and processes. */
function isFirst(folder: string, name: string): boolean {
  try {
    closeSync(openSync(join(folder, `first-${name}`), 'wx'))
    return true
  } catch {
    return false
  }
}
