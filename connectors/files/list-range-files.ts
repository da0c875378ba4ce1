import { join } from 'node:path'
import { comparePartitions, type OffsetRange } from '../../src/core/values.ts'
import { listIfThere } from './disk-error.ts'
import { unescapeName } from './escape-name.ts'
import { parseFileName } from './layout.ts'

/** A file that `jsonlSink` wrote: the rows of one range, from one batch. */
export type JsonlFile = OffsetRange & {
  readonly path: string
  readonly batchId: number
  /**
   * The file of the newest batch that covers some of the same offsets again, after a rewind. Where the two overlap that one counts. Rows carry
   * no offsets, so a reader that needs the rest of a partly covered file must take what identifies a row from its content.
   */
  readonly supersededBy?: string
}

/** A file that is named by its range, of any format. */
export type RangeFile = JsonlFile & {
  /** Such as `.csv.gz`. */
  readonly extension: string
}

/**
 * The files of `jsonlSink` in an output's directory, sorted by topic, partition, offset and batch; empty where there is no directory. Those of compressed,
 * partitioned or rolled outputs are listed by `listFiles`.
 */
export async function listJsonlFiles(directory: string): Promise<JsonlFile[]> {
  const files = await listRangeFiles(directory)
  return files.filter(({ extension }) => extension === '.jsonl').map(({ extension: _extension, ...file }) => file)
}

/** All files of a directory that are named by their ranges, sorted by topic, partition, offset and batch. */
export async function listRangeFiles(directory: string): Promise<RangeFile[]> {
  const files: RangeFile[] = []
  for (const topicFolder of await foldersOf(directory)) {
    const topic = unescapeName(topicFolder)
    if (topic === undefined) continue
    for (const partitionFolder of await foldersOf(join(directory, topicFolder))) {
      if (!/^\d+$/.test(partitionFolder)) continue
      const folder = join(directory, topicFolder, partitionFolder)
      for (const entry of await listIfThere(folder)) {
        const name = parseFileName(entry.name)
        if (name) files.push({ topic, partition: Number(partitionFolder), ...name, path: join(folder, entry.name) })
      }
    }
  }
  files.sort((a, b) => comparePartitions(a, b) || a.fromOffset - b.fromOffset || a.batchId - b.batchId)
  return markSuperseded(files)
}

/** `sorted` with the overlapped ones marked. What is open at an offset is one file, save after a rewind, so this is linear in practice. */
function markSuperseded(sorted: readonly RangeFile[]): RangeFile[] {
  const newest = new Map<RangeFile, RangeFile>()
  let open: RangeFile[] = []
  for (const file of sorted) {
    open = open.filter(other => comparePartitions(other, file) === 0 && other.untilOffset > file.fromOffset)
    for (const other of open) {
      const [older, newer] = other.batchId < file.batchId ? [other, file] : [file, other]
      if (older.batchId < newer.batchId && newer.batchId > (newest.get(older)?.batchId ?? 0)) newest.set(older, newer)
    }
    open.push(file)
  }
  return sorted.map(file => {
    const by = newest.get(file)
    return by === undefined ? file : { ...file, supersededBy: by.path }
  })
}

async function foldersOf(folder: string): Promise<string[]> {
  return (await listIfThere(folder)).filter(entry => entry.isDirectory()).map(entry => entry.name)
}
