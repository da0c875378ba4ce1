import { ConfigError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { AppendFile } from './formats/append-file.ts'
import type { Format, RowEncoder } from './formats/format.ts'
import type { HiveLevel } from './hive-path.ts'
import type { Partitioner } from './partition-by.ts'
import { refusedRow, unnamedRow, WrongValue } from './row-refused.ts'

/** So many files of a task are open at a time; those that wait for rows are closed between writes. */
const MAX_OPEN_FILES = 32

/** A file that a task has written aside. */
export type WrittenFile = {
  /** Of the folders it belongs into; empty where the output has none. */
  readonly levels: readonly HiveLevel[]
  /** The same as a path; empty where the output has no folders. */
  readonly folder: string
  readonly aside: string
  readonly rows: number
  readonly bytes: number
  readonly headerBytes: number
}

export type TaskFilesOptions = {
  readonly format: Format
  readonly partitions: Partitioner | undefined
  /** So many folders a task may write into. */
  readonly maxOpenPartitions: number
  /** Whether a file in this folder of the output would have a path that the system does not take. */
  readonly isPathTooLong: (folder: string) => Promise<boolean>
  /** Where the `nth` file goes, from 0. */
  readonly asideOf: (nth: number) => string
}

type Open = {
  readonly file: AppendFile
  readonly encoder: RowEncoder
  readonly folder: string
  readonly levels: readonly HiveLevel[]
  rows: number
  lastUsed: number
}

/** The rows of one task on their way into one file, or into one a folder. What is in memory and what is open is bounded, however many folders there are. */
export class TaskFiles {
  readonly #task: Task
  readonly #options: TaskFilesOptions
  readonly #files = new Map<string, Open>()
  #place = 0
  #uses = 0
  /** Of all files together, bytes. */
  #buffered = 0

  constructor(task: Task, options: TaskFilesOptions) {
    this.#task = task
    this.#options = options
    // A task without rows leaves an empty file where files are named by ranges.
    if (options.partitions === undefined) this.#open('', [])
  }

  /** Draws all rows and makes the files durable. */
  async write(rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal): Promise<WrittenFile[]> {
    try {
      for (const { file } of this.#files.values()) await file.begin()
      for await (const array of rows) {
        signal.throwIfAborted()
        await this.#add(array)
        this.#place += array.length
      }
      signal.throwIfAborted()
      const written: WrittenFile[] = []
      for (const open of this.#files.values()) written.push(await finish(open))
      return written
    } finally {
      for (const { file } of this.#files.values()) await file.park()
    }
  }

  async #add(rows: readonly unknown[]): Promise<void> {
    const { partitions } = this.#options
    if (partitions === undefined) return this.#addTo(this.#open('', []), rows, index => this.#place + index)
    const byFolder = new Map<string, { rows: unknown[]; places: number[] }>()
    for (let i = 0; i < rows.length; i++) {
      const folder = this.#folderOf(partitions, rows[i], this.#place + i)
      const group = byFolder.get(folder) ?? { rows: [], places: [] }
      if (group.rows.length === 0) byFolder.set(folder, group)
      group.rows.push(rows[i])
      group.places.push(this.#place + i)
    }
    for (const [folder, group] of byFolder) {
      if (!this.#files.has(folder)) await this.#checkFolder(folder, group.places[0] ?? 0, group.rows[0])
      const open = this.#files.get(folder) ?? this.#open(folder, partitions.levelsOf(group.rows[0]))
      await this.#addTo(open, group.rows, index => group.places[index] ?? 0)
    }
  }

  #folderOf(partitions: Partitioner, row: unknown, place: number): string {
    try {
      return partitions.pathOf(row)
    } catch (error) {
      throw error instanceof WrongValue ? refusedRow(this.#task, place, undefined, row, error) : unnamedRow(this.#task, place, error)
    }
  }

  async #checkFolder(folder: string, place: number, row: unknown): Promise<void> {
    this.#checkCap(folder, place)
    // The folder is made when the row is in for good, and a batch with such a row could never be committed, whatever one does to the job.
    if (await this.#options.isPathTooLong(folder))
      throw refusedRow(
        this.#task,
        place,
        undefined,
        row,
        new WrongValue(`folders whose path this system takes, and ${folder} is too long for it`),
      )
  }

  /** A folder a row would be a file a row: that is told at once, and not by a disk that is full of them. */
  #checkCap(folder: string, place: number): void {
    const { maxOpenPartitions } = this.#options
    if (this.#files.size < maxOpenPartitions) return
    const { batchId, output, range } = this.#task
    throw new ConfigError(
      `Row ${place + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) goes into ${folder}, which is folder ${maxOpenPartitions + 1} of ` +
        'this task. Partition by something coarser, or raise maxOpenPartitions.',
      { details: { output, batchId, ...range, row: place + 1, folder, maxOpenPartitions } },
    )
  }

  #open(folder: string, levels: readonly HiveLevel[]): Open {
    const known = this.#files.get(folder)
    if (known !== undefined) return known
    const { format, asideOf } = this.#options
    const file = new AppendFile(asideOf(this.#files.size))
    const open: Open = { file, encoder: format.encoder(), folder, levels, rows: 0, lastUsed: 0 }
    this.#files.set(folder, open)
    return open
  }

  async #addTo(open: Open, rows: readonly unknown[], placeOf: (index: number) => number): Promise<void> {
    const before = open.encoder.buffered
    open.encoder.add(rows, placeOf, this.#task)
    this.#buffered += open.encoder.buffered - before
    open.rows += rows.length
    this.#uses += 1
    open.lastUsed = this.#uses
    // The largest first: row groups and compressed pieces are better large.
    while (this.#buffered >= this.#options.format.bufferBytes) await this.#flush(this.#largest())
  }

  async #flush(open: Open): Promise<void> {
    this.#buffered -= open.encoder.buffered
    await open.file.append(await open.encoder.flush())
    // A file alone goes on with its memory. Of many, each would keep that of its largest row group until the task ends.
    if (this.#options.partitions !== undefined) open.encoder.release()
    const others = [...this.#files.values()].filter(({ file }) => file.isOpen && file !== open.file)
    if (others.length < MAX_OPEN_FILES) return
    await others.reduce((a, b) => (a.lastUsed < b.lastUsed ? a : b)).file.park()
  }

  #largest(): Open {
    return [...this.#files.values()].reduce((a, b) => (a.encoder.buffered < b.encoder.buffered ? b : a))
  }
}

async function finish({ file, encoder, rows, folder, levels }: Open): Promise<WrittenFile> {
  await file.append(await encoder.end())
  encoder.release()
  await file.finish()
  return { folder, levels, rows, aside: file.path, bytes: file.bytes, headerBytes: encoder.headerBytes }
}
