import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isMainThread, threadId } from 'node:worker_threads'
import { ConnectionError, DataLossError, FencedError, type RangeContext, type Sink, stream } from 'tidemark'
import { memorySource } from 'tidemark/testing'

/** What the task of a partition does; nothing is to write its rows. */
export type Act =
  | { readonly do: 'exit' | 'uncaught' | 'unhandled' | 'runOutOfMemory'; readonly times?: number }
  | { readonly do: 'loop'; readonly times?: number }
  | { readonly do: 'throw'; readonly what: 'payment' | 'fenced' | 'dataLoss' | 'connection' }
  | { readonly do: 'failRecord'; readonly offset: number }
  | { readonly do: 'waitForFile' | 'writeAndWaitForFile'; readonly name: string }
  | { readonly do: 'hang' }
  | { readonly do: 'log' }

/** What the job does in all, by the file `script.json` of the test's folder. */
export type Script = {
  readonly acts?: Readonly<Record<number, Act>>
  /** What `open` of the sink fails with. */
  readonly open?: 'connection' | 'payment' | 'exit'
}

/** An error of the job's own, with a field. */
class PaymentError extends Error {
  override readonly name = 'PaymentError'
  readonly orderId = 17
}

const folder = process.env.TIDEMARK_TEST_FOLDER ?? ''

function script(): Script {
  return JSON.parse(readFileSync(join(folder, 'script.json'), 'utf8'))
}

/** A line of the test's journal, which says in which thread it was. */
function note(what: string): void {
  appendFileSync(join(folder, 'journal'), `${isMainThread ? 'main' : threadId} ${what}\n`)
}

function timesNoted(what: string): number {
  return readFileSync(join(folder, 'journal'), 'utf8')
    .split('\n')
    .filter(line => line.endsWith(` ${what}`)).length
}

note('import')

const records = memorySource({ topics: { t: 12 } })
for (let partition = 0; partition < 12; partition++) {
  for (let at = 0; at < 5; at++) records.append('t', partition, { value: `${partition}-${at}`, timestamp: 1_000 + at })
}
const source = Object.assign(records, { close: async () => note('close source') })

const sink: Sink<string> = {
  name: 'journal',
  guarantee: 'at-least-once',
  ordering: 'none',
  async open({ log }) {
    note('open')
    log.warn({ server: 'old' }, 'the server is old')
    const how = script().open
    if (how === 'connection') throw new ConnectionError('The journal is away.', { details: { port: 1 } })
    if (how === 'payment') throw new PaymentError('no money to open')
    if (how === 'exit') process.exit(5)
  },
  async write(task, rows, { signal, log }) {
    const { partition } = task.range
    const act = script().acts?.[partition]
    note(`begin ${partition}`)
    if (act !== undefined && !('times' in act && timesNoted(`act ${partition}`) >= (act.times ?? 1))) {
      note(`act ${partition}`)
      switch (act.do) {
        case 'exit':
          return process.exit(3)
        case 'uncaught':
          setImmediate(() => {
            throw new PaymentError('nobody listens')
          })
          return hang()
        case 'unhandled':
          Promise.reject(new PaymentError('nobody awaits'))
          return hang()
        case 'runOutOfMemory': {
          const kept: number[][] = []
          for (;;) {
            kept.push(new Array(10_000).fill(kept.length))
            await undefined
          }
        }
        case 'loop':
          for (;;) note.length
        case 'throw':
          throw errorOf(act.what)
        case 'writeAndWaitForFile':
          for await (const _ of rows);
          await fileAppears(act.name, signal)
          return
        case 'waitForFile':
          await fileAppears(act.name, signal)
          break
        case 'hang':
          await hang(signal)
          break
        case 'log':
          log.error({ err: new PaymentError('told'), at: new Date(5), when: () => 5 }, 'a function cannot be sent')
          log.info({ err: new PaymentError('told'), at: new Date(5) }, 'said by a task')
          log.debug(new PaymentError('bare'))
          break
        case 'failRecord':
          break
        default:
          act satisfies never
      }
    }
    let count = 0
    for await (const array of rows) count += array.length
    note(`wrote ${partition}: ${count}`)
  },
  close: async () => note('close sink'),
}

function errorOf(what: 'payment' | 'fenced' | 'dataLoss' | 'connection'): Error {
  const range = { topic: 't', partition: 1, fromOffset: 0, untilOffset: 2 }
  if (what === 'fenced') return new FencedError('Another driver took over.', { details: { epoch: 8 } })
  if (what === 'dataLoss') return new DataLossError('retention', 'gone', [range], { resumeAt: 2 })
  if (what === 'connection') return new ConnectionError('The journal hung up.', { cause: new TypeError('inside') })
  return new PaymentError('no money')
}

async function fileAppears(name: string, signal: AbortSignal): Promise<void> {
  while (!existsSync(join(folder, name))) await delay(5, undefined, { signal })
}

/** Ends when it is told to, and without a signal never. */
function hang(signal?: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('told to stop'))))
}

function failing(record: { readonly partition: number; readonly offset: number; readonly value: Buffer | null }): string {
  const act = script().acts?.[record.partition]
  if (act?.do === 'failRecord' && act.offset === record.offset) throw new PaymentError(`cannot pay ${record.value}`)
  return String(record.value)
}

async function* withRange(rows: AsyncIterable<readonly string[]>, { range }: RangeContext) {
  for await (const array of rows) yield array.map(row => `${range.partition}:${row}`)
}

export const job = stream({ name: 'scripted' }).from(source).map(failing).mapRange(withRange).to(sink)
