import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { CompletedBatch } from '../../../src/core/sink.ts'
import { showRange, type Task } from '../../../src/core/values.ts'
import { isPathTooLong, isThere, listIfThere, onDisk } from '../disk-error.ts'
import { makeFolder, syncFolder } from '../durable-disk.ts'
import { AppendFile } from '../formats/append-file.ts'
import type { Format } from '../formats/format.ts'
import { attemptFolder, attemptsFolder, batchFolder, parseBatchFolder, partsFolder, relativePath, taskFolder } from '../layout.ts'
import type { ManifestFile } from '../manifest/manifest-version.ts'
import type { Partitioner } from '../partition-by.ts'
import { TaskFiles } from '../task-files.ts'
import { checkAllThere } from './count-tasks.ts'
import type { Attempt, Layout } from './layout.ts'
import { RECORD_NAME, readTaskRecord, type TaskRecord } from './task-record.ts'

const AT_ONCE = 64
/** As long as the name of a file that is put together will ever be: two batches, an epoch, a version, a place and an extension. */
const LONGEST_FILE_NAME = 'x'.repeat(96)

export type PartFilesOptions = {
  readonly format: Format
  readonly partitions: Partitioner | undefined
  readonly maxOpenPartitions: number
}

/**
 * A folder a task, `_tidemark/parts/b<batch>/t<index>`, with a part for each folder its rows go into and a record of them. It is put in place by one
 * rename, so a task is there whole or not at all, and is there once however often it runs. Parts are called `….part`: whoever reads the directory by a
 * pattern such as `*.parquet` does not take them for files of the output.
 */
export class PartFiles implements Layout {
  readonly #directory: string
  readonly #options: PartFilesOptions
  readonly #durableFolders: Set<string>

  constructor(directory: string, options: PartFilesOptions, durableFolders: Set<string>) {
    this.#directory = directory
    this.#options = options
    this.#durableFolders = durableFolders
  }

  async applied(task: Task): Promise<boolean> {
    const record = await readTaskRecord(this.#directory, task)
    if (record !== undefined) await this.#makeDurable(task)
    return record !== undefined
  }

  async write({ task, nonce, rows, signal, checkFence }: Attempt): Promise<void> {
    const aside = attemptFolder(this.#directory, task, nonce)
    const inPlace = taskFolder(this.#directory, task)
    await makeFolder(attemptsFolder(this.#directory), this.#directory, this.#durableFolders)
    await makeFolder(batchFolder(this.#directory, task.batchId), this.#directory, this.#durableFolders)
    try {
      await onDisk('make the folder', aside, () => mkdir(aside))
      await this.#writeAside(aside, task, rows, signal)
      await checkFence()
      try {
        await onDisk(`put ${showRange(task.range)} in place as`, inPlace, () => rename(aside, inPlace))
      } catch (error) {
        // A folder with something in it is not replaced: another attempt was first, with the same rows.
        if (!(await isThere(join(inPlace, RECORD_NAME)))) throw error
        await rm(aside, { recursive: true, force: true })
      }
    } catch (error) {
      await rm(aside, { recursive: true, force: true }).catch(() => {})
      throw error
    }
    await this.#makeDurable(task)
  }

  async collect(batch: CompletedBatch): Promise<ManifestFile[]> {
    const tasks = (await listIfThere(batchFolder(this.#directory, batch.id))).flatMap(({ name }) => /^t(\d+)$/.exec(name)?.[1] ?? [])
    const records: TaskRecord[] = []
    for (let from = 0; from < tasks.length; from += AT_ONCE) {
      const some = tasks.slice(from, from + AT_ONCE).map(Number)
      const found = await Promise.all(some.map(index => this.#read(batch, index)))
      for (const record of found) if (record !== undefined) records.push(record)
    }
    checkAllThere(batch, batchFolder(this.#directory, batch.id), records.length)
    return records.sort((a, b) => a.index - b.index).flatMap(record => this.#filesOf(record))
  }

  async batchesAfter(batchId: number): Promise<{ readonly batchId: number; readonly path: string }[]> {
    const folder = partsFolder(this.#directory)
    const found = (await listIfThere(folder)).map(({ name }) => ({ batchId: parseBatchFolder(name) ?? 0, path: join(folder, name) }))
    return found.filter(batch => batch.batchId > batchId)
  }

  #read(batch: CompletedBatch, index: number): Promise<TaskRecord | undefined> {
    const range = batch.ranges[index]
    return readTaskRecord(this.#directory, { batchId: batch.id, output: batch.output, index, ...(range !== undefined && { range }) })
  }

  #filesOf(record: TaskRecord): ManifestFile[] {
    const folder = taskFolder(this.#directory, record)
    const { topic, partition, fromOffset, untilOffset } = record.range
    return record.files.map(({ name, levels, rows, bytes, headerBytes, folder: into }) => ({
      path: relativePath(this.#directory, join(folder, name)),
      format: record.format,
      bytes,
      rows,
      batches: [record.batchId, record.batchId],
      batchTime: record.batchTime,
      range: { topic, partition, fromOffset, untilOffset },
      ...(levels.length > 0 && { partition: Object.fromEntries(levels.map(({ key, value }) => [key, value === '' ? null : value])) }),
      part: { folder: into, extension: record.extension, headerBytes, signature: record.signature },
    }))
  }

  async #writeAside(aside: string, task: Task, rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal): Promise<void> {
    const { format } = this.#options
    const files = new TaskFiles(task, {
      ...this.#options,
      isPathTooLong: folder => isPathTooLong(join(this.#directory, folder, LONGEST_FILE_NAME)),
      asideOf: nth => join(aside, `${nth}${format.extension}.part`),
    })
    const written = await files.write(rows, signal)
    const { stream, output, batchId, batchTime, index, range } = task
    const record: TaskRecord = {
      ...{ v: 1, stream, output, batchId, batchTime, index, range },
      ...{ format: format.name, extension: format.extension, signature: format.signature },
      // A part without rows is nobody's.
      files: written.flatMap(({ aside: path, ...file }) => (file.rows === 0 ? [] : [{ name: basename(path), ...file }])),
    }
    const recordFile = new AppendFile(join(aside, RECORD_NAME))
    await recordFile.append([Buffer.from(`${JSON.stringify(record)}\n`)])
    await recordFile.finish()
    await syncFolder(aside)
  }

  async #makeDurable(task: Task): Promise<void> {
    const folder = batchFolder(this.#directory, task.batchId)
    await makeFolder(folder, this.#directory, this.#durableFolders)
    await syncFolder(folder)
  }
}
