import { rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { CompletedBatch } from '../../../src/core/sink.ts'
import { showRange, type Task } from '../../../src/core/values.ts'
import { diskErrorCode, isThere, onDisk } from '../disk-error.ts'
import { makeFolder, syncFolder } from '../durable-disk.ts'
import { rangeFile } from '../files-before-manifest.ts'
import type { Format } from '../formats/format.ts'
import { attemptFile, dataFile, partitionFolder } from '../layout.ts'
import { listRangeFiles } from '../list-range-files.ts'
import type { ManifestFile } from '../manifest/manifest-version.ts'
import { TaskFiles } from '../task-files.ts'
import { checkAllThere } from './count-tasks.ts'
import type { Attempt, Layout } from './layout.ts'

/** So many files are looked at side by side. */
const AT_ONCE = 64

/**
 * A file a range, `<topic>/<partition>/<from>-<until>-b<batch>.<format>`, put in place by its task. The names tile the log, so a range without rows has a
 * file too, and the directory is its own ledger: a file that is there is a task that is done.
 */
export class RangeFiles implements Layout {
  readonly #directory: string
  readonly #format: Format
  readonly #durableFolders: Set<string>

  constructor(directory: string, format: Format, durableFolders: Set<string>) {
    this.#directory = directory
    this.#format = format
    this.#durableFolders = durableFolders
  }

  async applied(task: Task): Promise<boolean> {
    const there = await isThere(this.#pathOf(task))
    // Its attempt may have been killed after the rename and before the fsync of the folder. Said to be applied, its offsets would be committed, and a
    // power cut could still take the file away.
    if (there) await this.#makeDurable(task)
    return there
  }

  async write({ task, nonce, rows, signal, checkFence }: Attempt): Promise<void> {
    const aside = attemptFile(this.#directory, task, nonce)
    const path = this.#pathOf(task)
    await makeFolder(dirname(aside), this.#directory, this.#durableFolders)
    await makeFolder(dirname(path), this.#directory, this.#durableFolders)
    try {
      const one = { partitions: undefined, maxOpenPartitions: 1, isPathTooLong: async () => false, asideOf: () => aside }
      const files = new TaskFiles(task, { format: this.#format, ...one })
      await files.write(rows, signal)
      await checkFence()
      await onDisk(`put ${showRange(task.range)} in place as`, path, () => rename(aside, path))
    } catch (error) {
      // What failed is what counts; a file left aside is removed at the next epoch.
      await rm(aside, { force: true }).catch(() => {})
      throw error
    }
    await this.#makeDurable(task)
  }

  async collect(batch: CompletedBatch): Promise<ManifestFile[]> {
    const files: ManifestFile[] = []
    for (let from = 0; from < batch.ranges.length; from += AT_ONCE) {
      const some = batch.ranges.slice(from, from + AT_ONCE)
      const found = await Promise.all(some.map(range => this.#find(batch, range)))
      for (const file of found) if (file !== undefined) files.push(file)
    }
    checkAllThere(batch, this.#directory, files.length)
    return files
  }

  async batchesAfter(batchId: number): Promise<{ readonly batchId: number; readonly path: string }[]> {
    return (await listRangeFiles(this.#directory)).filter(file => file.batchId > batchId)
  }

  /** A range of another output's topics has no file here. */
  async #find(batch: CompletedBatch, range: Task['range']): Promise<ManifestFile | undefined> {
    const path = this.#pathOf({ range, batchId: batch.id })
    const bytes = await onDisk('look at', path, async () => {
      try {
        return (await stat(path)).size
      } catch (error) {
        if (diskErrorCode(error) === 'ENOENT') return undefined
        throw error
      }
    })
    return bytes === undefined ? undefined : rangeFile({ directory: this.#directory, path, format: this.#format.name, range, bytes, batch })
  }

  #pathOf(task: Pick<Task, 'range' | 'batchId'>): string {
    return dataFile(this.#directory, task, this.#format.extension)
  }

  async #makeDurable(task: Task): Promise<void> {
    const folder = partitionFolder(this.#directory, task.range)
    await makeFolder(folder, this.#directory, this.#durableFolders)
    await syncFolder(folder)
  }
}
