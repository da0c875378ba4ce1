import { access, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ConflictError } from '../../src/core/errors.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { FenceMark, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { diskErrorCode, onDisk } from './disk-error.ts'
import { makeFolder, syncFolder } from './durable-disk.ts'
import { escapeName } from './escape-name.ts'
import { attemptEpoch, attemptFile, attemptsFolder, dataFile, partitionFolder } from './layout.ts'
import { listJsonlFiles } from './list-jsonl-files.ts'
import { checkClaim, checkEpoch, checkIsShared, checkNotFenced, readMarker, writeMarker } from './marker.ts'
import { type JsonlSinkOptions, jsonlSinkOptions } from './options.ts'
import { writeRows } from './write-rows.ts'

/**
 * Rows as JSONL files, one a range: `<directory>/<topic>/<partition>/<from>-<until>-b<batch>.jsonl`, offsets padded to 16 digits. A range
 * without rows has an empty file, so the names tile the log. Capitals and odd characters of a topic become `%XX`. `idempotent`: a task's file is
 * written aside, fsynced and renamed, so it is there whole or not at all, and a second run gives the same file.
 *
 * Throws `ConfigError` for a directory that is missing or empty; touches the disk only once the stream starts.
 */
export function jsonlSink(options: JsonlSinkOptions): Sink<unknown> {
  const { directory } = parseOptions(jsonlSinkOptions, options, 'jsonlSink')
  return new JsonlSink(directory)
}

/**
 * The directory is its own ledger (a file that is there is a task that is done) and its own fence, kept in `_tidemark/output.json`.
 *
 * The fence is raised once an epoch, not once a batch: within an epoch it would say nothing new, for a straggler of a finished batch renames the
 * same bytes to the same name. At a new epoch it first writes the marker and then removes what older attempts have aside, and an attempt looks at
 * the marker last, just before it renames. So when `fence` returns no older attempt can put a file in place: one that had its file aside by then
 * finds it gone, and one that makes it later finds the new epoch.
 *
 * It says when a store was rolled back (files of batches that the store does not know) or replaced (another stream id). It cannot say when the
 * directory was rolled back: people move finished files away, so a missing one means nothing.
 */
class JsonlSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee = 'idempotent'
  readonly ordering = 'none'
  /** Two attempts have a file aside each, with the same bytes for the same name. */
  readonly allowsTwins = true
  readonly target: string
  readonly rewritten: Rewritten = {
    addsRows: false,
    sentence: 'put into a second file beside the first; where two files overlap, the one with the higher batch number counts',
    inReplay: "put into a directory beside the job's own, with the replay's name behind a ~",
  }
  readonly #given: string
  readonly #directory: string
  readonly #durableFolders = new Set<string>()
  /** Stream, output, epoch and owner of the last fence. */
  #fence = ''
  /** The stream's id by the store, once it was opened: an attempt of a store that was replaced may carry a higher epoch than today's. */
  #streamId: string | undefined

  constructor(directory: string) {
    this.name = `files:${directory}`
    this.#given = directory.replace(/(?<=.)[/\\]+$/, '')
    this.#directory = resolve(directory)
    this.target = this.#given
  }

  async prepare({ stream, streamId, output, adopt = false }: SinkContext): Promise<void> {
    await makeFolder(attemptsFolder(this.#directory), this.#directory, this.#durableFolders)
    const marker = await readMarker(this.#directory)
    if (marker !== undefined) return adopt ? undefined : checkClaim(this.#directory, marker, { stream, streamId, output })
    await writeMarker(this.#directory, { v: 1, stream, streamId, output, epoch: 0, owner: '' }, systemRandom.id())
  }

  async open({ streamId }: SinkContext): Promise<void> {
    this.#streamId = streamId
  }

  async fence(mark: FenceMark): Promise<void> {
    const { stream, streamId, output, epoch, owner } = mark
    const fence = JSON.stringify([streamId, output, epoch, owner])
    if (fence === this.#fence) return
    const directory = this.#directory
    await makeFolder(attemptsFolder(directory), directory, this.#durableFolders)
    if (mark.adopt !== true) await this.#checkMarker(mark)
    await this.#checkBatches(mark)
    await writeMarker(directory, { v: 1, stream, streamId, output, epoch, owner }, systemRandom.id())
    await this.#removeAttemptsBefore(epoch)
    this.#fence = fence
  }

  async applied(task: Task): Promise<boolean> {
    const path = dataFile(this.#directory, task)
    const there = await onDisk('look at', path, () => isThere(path))
    // Its attempt may have been killed after the rename and before the fsync of the folder. Said to be applied, its offsets would be committed, and a
    // power cut could still take the file away.
    if (there) await this.#makeDurable(task)
    return there
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const aside = attemptFile(this.#directory, task, systemRandom.id())
    const path = dataFile(this.#directory, task)
    signal.throwIfAborted()
    if (this.#streamId !== undefined) checkIsShared(this.#directory, await readMarker(this.#directory), task)
    await makeFolder(dirname(aside), this.#directory, this.#durableFolders)
    await makeFolder(partitionFolder(this.#directory, task.range), this.#directory, this.#durableFolders)
    try {
      await writeRows(aside, task, rows, signal)
      checkNotFenced(this.#directory, await readMarker(this.#directory), task, this.#streamId)
      await onDisk(`put ${showRange(task.range)} in place as`, path, () => rename(aside, path))
    } catch (error) {
      // What failed is what counts; a file left aside is removed at the next epoch.
      await rm(aside, { force: true }).catch(() => {})
      // A fence that was raised after the look at the marker has taken the file aside away: then not the disk is at fault.
      checkNotFenced(this.#directory, await readMarker(this.#directory).catch(() => undefined), task, this.#streamId)
      throw error
    }
    await this.#makeDurable(task)
  }

  /** A directory beside this one: here the files of another run would have the names of this one's. */
  forStream(stream: string): Sink<unknown> {
    const run = stream.slice(stream.lastIndexOf('~') + 1)
    return new JsonlSink(`${this.#given}~${escapeName(run)}`)
  }

  async #makeDurable(task: Task): Promise<void> {
    const folder = partitionFolder(this.#directory, task.range)
    await makeFolder(folder, this.#directory, this.#durableFolders)
    await syncFolder(folder)
  }

  /** What the directory knows against the offset store. */
  async #checkMarker(mark: FenceMark): Promise<void> {
    const marker = await readMarker(this.#directory)
    if (marker === undefined) return
    checkClaim(this.#directory, marker, mark)
    checkEpoch(this.#directory, marker, mark)
  }

  /** A file of a batch after the last begun one was written under a store that has forgotten it: its id would be used a second time. */
  async #checkBatches({ stream, lastBegun }: FenceMark): Promise<void> {
    const unknown = (await listJsonlFiles(this.#directory)).filter(file => file.batchId > lastBegun)
    const [first] = unknown
    if (first === undefined) return
    const batchIds = [...new Set(unknown.map(file => file.batchId))].sort((a, b) => a - b)
    throw new ConflictError(
      `${this.#directory} has files of batches up to ${batchIds.at(-1)} of stream ${stream}, and its offset store knows batches up to ` +
        `${lastBegun}: the store was rolled back or replaced. Restore the store, use another directory, or, after having looked, move away the ` +
        `files of batches ${batchIds[0]} to ${batchIds.at(-1)}, such as ${first.path}.`,
      { details: { directory: this.#directory, stream, lastBegun, batchIds: batchIds.slice(0, 1000) } },
    )
  }

  async #removeAttemptsBefore(epoch: number): Promise<void> {
    const folder = attemptsFolder(this.#directory)
    for (const name of await onDisk('list', folder, () => readdir(folder))) {
      const path = join(folder, name)
      if ((attemptEpoch(name) ?? epoch) < epoch) await onDisk('remove', path, () => rm(path, { force: true }))
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (diskErrorCode(error) === 'ENOENT') return false
    throw error
  }
}
