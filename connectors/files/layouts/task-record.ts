import { join } from 'node:path'
import { LedgerConflictError } from '../../../src/core/errors.ts'
import { type OffsetRange, sameRange, showRange, type Task } from '../../../src/core/values.ts'
import { readIfThere } from '../disk-error.ts'
import type { FormatName } from '../formats/format.ts'
import type { HiveLevel } from '../hive-path.ts'
import { taskFolder } from '../layout.ts'
import { parseSaved } from '../saved-json.ts'

/** What is in the folder of one task's parts. Saved, so it carries a version. */
export type TaskRecord = {
  readonly v: 1
  readonly stream: string
  readonly output: string
  readonly batchId: number
  readonly batchTime: number
  readonly index: number
  readonly range: OffsetRange
  readonly format: FormatName
  readonly extension: string
  readonly signature: string
  readonly files: readonly {
    readonly name: string
    readonly folder: string
    readonly levels: readonly HiveLevel[]
    readonly rows: number
    readonly bytes: number
    readonly headerBytes: number
  }[]
}

/** The file of a folder of parts that says what they are. */
export const RECORD_NAME = 'task.json'

/** Reads what a task has in place; undefined where it has nothing. Throws `LedgerConflictError` where that is another range: its rows would be lost. */
export async function readTaskRecord(
  directory: string,
  task: Pick<Task, 'batchId' | 'index' | 'output'> & { readonly range?: OffsetRange },
): Promise<TaskRecord | undefined> {
  const path = join(taskFolder(directory, task), RECORD_NAME)
  const text = await readIfThere(path)
  if (text === undefined) return undefined
  const record = parseRecord(text, path)
  if (task.range !== undefined && !sameRange(task.range, record.range)) {
    throw new LedgerConflictError(
      `Task ${task.index} of batch ${task.batchId} of output ${task.output} is ${showRange(task.range)}, and ${directory} has it as ` +
        `${showRange(record.range)}. The offset store was rolled back or replaced. Restore it, or, after having looked, run with --adopt ${task.output}.`,
      { details: { directory, batchId: task.batchId, index: task.index, range: task.range, found: record.range } },
    )
  }
  return record
}

function parseRecord(text: string, path: string): TaskRecord {
  const isWhole = ({ files, range }: Partial<TaskRecord>) => Array.isArray(files) && typeof range === 'object'
  return parseSaved(text, path, isWhole, "Look at it; its task's rows are in no file of the output yet.")
}
