import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { silentLog } from '../../../src/core/log.ts'
import { type Sink, type Source, stream, type Task } from '../../../src/index.ts'

/** What a task did, and where. */
export type Note = { readonly what: 'begin' | 'end' | 'abort'; readonly pid: number; readonly index: number; readonly attempt: string }

const source: Source<never> = {
  name: 'nothing',
  partitions: async () => [],
  earliestOffsets: async () => [],
  latestOffsets: async () => [],
  offsetsForTimestamp: async () => [],
  async *read() {},
  async close() {},
}

/** What a task does is said by its topic: `quick`, `hold` (until it is let go), `fail`, `exit` (ends its process). */
function sinkOf(name: string, allowsTwins: boolean): Sink<never> {
  return {
    name,
    guarantee: 'idempotent',
    ordering: 'none',
    allowsTwins,
    async write(task, rows, { signal }) {
      for await (const _ of rows);
      if (task.range.topic === 'quick') return
      note('begin', task)
      if (task.range.topic === 'exit') process.exit(3)
      if (task.range.topic === 'fail') throw new TypeError(`index ${task.index} fails`)
      try {
        while (!isLetGo(task)) {
          signal.throwIfAborted()
          await delay(20)
        }
        note('end', task)
      } catch (error) {
        note('abort', task)
        throw error
      }
    },
  }
}

const folder = () => process.env.DRIVER_TEST_FOLDER ?? '.'
const notes = () => join(folder(), 'notes.jsonl')

/** Everything, one task by its index, or whatever one process has. */
function isLetGo({ index }: Task): boolean {
  return ['go', `go-index-${index}`, `go-process-${process.pid}`].some(name => existsSync(join(folder(), name)))
}

function note(what: Note['what'], { index, attempt }: Task): void {
  appendFileSync(notes(), `${JSON.stringify({ what, pid: process.pid, index, attempt } satisfies Note)}\n`)
}

/** Of every process that shares the folder. */
export function readNotes(): Note[] {
  if (!existsSync(notes())) return []
  return readFileSync(notes(), 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

const job = stream({ name: 'fleet', log: silentLog })
const rows = job.from(source)
rows.to(sinkOf('plain', false))
rows.to(sinkOf('twins', true))
export default job
