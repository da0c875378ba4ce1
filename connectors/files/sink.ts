import { resolve } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import { ConfigError, isTidemarkError } from '../../src/core/errors.ts'
import { systemRandom } from '../../src/core/random.ts'
import type { CompletedBatch, FenceMark, ReadBackQuery, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import { checkManifest, checkUnknownBatches } from './check-witness.ts'
import { makeFolder } from './durable-disk.ts'
import { escapeName } from './escape-name.ts'
import { FencedDisk } from './fenced-disk.ts'
import { filesBeforeManifest } from './files-before-manifest.ts'
import type { Format } from './formats/format.ts'
import { attemptsFolder, markerFile } from './layout.ts'
import type { Layout } from './layouts/layout.ts'
import { PartFiles } from './layouts/part-files.ts'
import { RangeFiles } from './layouts/range-files.ts'
import { ManifestWriter } from './manifest/manifest-writer.ts'
import { readManifest } from './manifest/read-manifest.ts'
import { checkClaim, checkEpoch, checkIsShared, checkNotFenced, type Marker, markerText, readMarker, writeMarker } from './marker.ts'
import { type CompleteFilesOptions, rollRule } from './options.ts'
import { compilePartitions } from './partition-by.ts'
import { readJsonlRows } from './read-jsonl.ts'
import { removeAttemptsBefore } from './remove-attempts.ts'
import { Roller } from './roller.ts'

/** What the driver has in hand between its fence and its end. */
type Driving = { readonly mark: FenceMark; readonly manifest: ManifestWriter; readonly roller: Roller }

/**
 * Rows as files of one format. Tasks put files or parts in place (`layouts/`), and `commitBatch` makes a batch count by one version of the manifest
 * (`manifest/`), so a reader that goes by it sees whole batches.
 *
 * The directory is its own ledger (what is in place is a task that is done) and its own fence, kept in `_tidemark/output.json`. The fence is raised
 * once an epoch, not once a batch: within an epoch it would say nothing new, for a straggler of a finished batch renames a file of the same rows to the
 * same name, or a folder of parts that nobody asks for. At a new epoch it first writes the marker and then removes what older attempts have aside, and an
 * attempt, and a driver also with its own marker, looks at the marker last, just before it renames. So when `fence` returns no older attempt, and no older
 * driver, can put anything in place: one that had its file aside by then finds it gone, and one that makes it later finds the new epoch.
 *
 * It says when a store was rolled back (batches that the store does not know) or replaced (another stream id), and by its manifest when the directory
 * itself was rolled back. That finished files are gone says nothing: people move them away.
 */
export class FilesSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee = 'idempotent'
  readonly ordering = 'none'
  /** Two attempts have files aside each, with the same rows for the same name. */
  readonly allowsTwins = true
  readonly target: string
  readonly rewritten: Rewritten
  readonly #given: string
  readonly #directory: string
  readonly #format: Format
  readonly #options: CompleteFilesOptions
  readonly #clock: Clock
  readonly #layout: Layout
  readonly #isOfParts: boolean
  readonly #durableFolders = new Set<string>()
  /** Stream, output, epoch and owner of the last fence. */
  #fence = ''
  #driving: Driving | undefined
  /** The stream's id by the store, once it was opened: an attempt of a store that was replaced may carry a higher epoch than today's. */
  #streamId: string | undefined

  constructor(format: Format, options: CompleteFilesOptions, clock: Clock) {
    const { directory, partitionBy, maxOpenPartitions } = options
    this.name = `files:${directory}`
    this.#given = directory.replace(/(?<=.)[/\\]+$/, '')
    this.#directory = resolve(directory)
    this.target = this.#given
    this.#format = format
    this.#options = options
    this.#clock = clock
    this.#isOfParts = partitionBy !== undefined || rollRule(options) !== undefined
    const partitions = partitionBy && compilePartitions(partitionBy)
    this.#layout = this.#isOfParts
      ? new PartFiles(this.#directory, { format, partitions, maxOpenPartitions }, this.#durableFolders)
      : new RangeFiles(this.#directory, format, this.#durableFolders)
    this.rewritten = this.#isOfParts ? WRITTEN_TWICE : WRITTEN_BESIDE
  }

  async prepare({ stream, streamId, output, adopt = false }: SinkContext): Promise<void> {
    await makeFolder(attemptsFolder(this.#directory), this.#directory, this.#durableFolders)
    const marker = (await readMarker(this.#directory)) ?? (await this.#claim({ stream, streamId, output }))
    if (marker !== undefined && !adopt) checkClaim(this.#directory, marker, { stream, streamId, output })
  }

  async open({ streamId }: SinkContext): Promise<void> {
    this.#streamId = streamId
  }

  async fence(mark: FenceMark): Promise<void> {
    const { streamId, output, epoch, owner } = mark
    const fence = JSON.stringify([streamId, output, epoch, owner])
    if (fence === this.#fence) return
    await this.#asDriver(mark, () => this.#raise(mark))
    this.#fence = fence
  }

  async #raise(mark: FenceMark): Promise<void> {
    const directory = this.#directory
    await makeFolder(attemptsFolder(directory), directory, this.#durableFolders)
    if (mark.adopt !== true) await this.#checkMarker(mark)
    const checkUnknown = async () => checkUnknownBatches(directory, await this.#layout.batchesAfter(mark.lastBegun), mark)
    // Also where a person has looked: files of a batch whose id comes again would be taken for its own. And before the manifest, which names a way out that
    // these files would be in.
    if (!this.#isOfParts) await checkUnknown()
    if (mark.adopt !== true) checkManifest(directory, await readManifest(directory), mark)
    if (mark.adopt !== true && this.#isOfParts) await checkUnknown()
    await this.#raiseMarker(mark)
    this.#driving = await this.#takeOver(mark)
  }

  applied(task: Task): Promise<boolean> {
    return this.#layout.applied(task)
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted()
    if (this.#streamId !== undefined) checkIsShared(this.#directory, await readMarker(this.#directory), task)
    const checkFence = async () => checkNotFenced(this.#directory, await readMarker(this.#directory), task, this.#streamId)
    try {
      await this.#layout.write({ task, nonce: systemRandom.id(), rows, signal, checkFence })
    } catch (error) {
      // A fence that was raised after the look at the marker has taken the file aside away: then not the disk is at fault.
      checkNotFenced(this.#directory, await readMarker(this.#directory).catch(() => undefined), task, this.#streamId)
      throw error
    }
  }

  /** One version of the manifest: readers see all of the batch from then on. */
  async commitBatch(batch: CompletedBatch): Promise<void> {
    const driving = this.#driving
    if (driving === undefined) throw new Error(`${this.name}: commitBatch was called before fence`)
    const { mark, manifest } = driving
    // It was published, and its driver ended before the store knew.
    if (batch.id > manifest.batchId) await this.#asDriver(mark, () => this.#publish(batch, driving))
  }

  async #publish(batch: CompletedBatch, { manifest, roller }: Driving): Promise<void> {
    const files = await this.#layout.collect(batch)
    if (this.#isOfParts) return roller.commit(batch, files)
    if (files.length > 0) await manifest.publish({ batchId: batch.id, add: files, remove: [] })
    await roller.removeReplaced(batch.id - 1)
  }

  /** Puts together what waits for more, so that a stream that ends leaves files; whoever comes next goes on with new ones. */
  async close(): Promise<void> {
    const driving = this.#driving
    this.#driving = undefined
    this.#fence = ''
    if (driving === undefined) return
    try {
      await this.#asDriver(driving.mark, () => driving.roller.rollAll())
    } catch (error) {
      // Then they are its successor's, who has them in its list.
      if (!isTidemarkError(error, 'FENCED')) throw error
    }
  }

  /** A directory beside this one: here the files of another run would have the names of this one's. */
  async *readBack({ signal }: ReadBackQuery): AsyncGenerator<readonly unknown[]> {
    if (this.#format.name !== 'jsonl') {
      throw new ConfigError(
        `${this.name}: rows can be read back from JSONL files only, and these are ${this.#format.name}. Take jsonlSink for dead letters.`,
      )
    }
    yield* readJsonlRows(this.#directory, signal)
  }

  forStream(stream: string): Sink<unknown> {
    const run = stream.slice(stream.lastIndexOf('~') + 1)
    return new FilesSink(this.#format, { ...this.#options, directory: `${this.#given}~${escapeName(run)}` }, this.#clock)
  }

  /**
   * Says in a new directory whose it is. Aside under epoch 0: a driver that had looked before another one came would write over that one's marker when it
   * goes on, and lower the fence; so it finds its file gone, and the other's marker, which it gets.
   */
  async #claim(claim: Pick<Marker, 'stream' | 'streamId' | 'output'>): Promise<Marker | undefined> {
    const disk = new FencedDisk(this.#directory, { ...claim, epoch: 0 }, this.#durableFolders)
    try {
      await disk.put(markerFile(this.#directory), markerText({ v: 1, ...claim, epoch: 0, owner: '' }))
      return undefined
    } catch (error) {
      const marker = await readMarker(this.#directory)
      if (marker === undefined) throw error
      return marker
    }
  }

  /**
   * Runs a step of the driver. One that was replaced meanwhile finds what its successor has made of the directory: files gone, batches that its store did
   * not know. It is told that it was replaced, and not to see to its disk or its store.
   */
  async #asDriver<T>(mark: FenceMark, step: () => Promise<T>): Promise<T> {
    try {
      return await step()
    } catch (error) {
      const marker = mark.adopt === true ? undefined : await readMarker(this.#directory).catch(() => undefined)
      if (marker !== undefined && marker.streamId === mark.streamId && marker.epoch > mark.epoch) checkEpoch(this.#directory, marker, mark)
      throw error
    }
  }

  /** What the directory knows against the offset store. */
  async #checkMarker(mark: FenceMark): Promise<void> {
    const marker = await readMarker(this.#directory)
    if (marker === undefined) return
    checkClaim(this.#directory, marker, mark)
    checkEpoch(this.#directory, marker, mark)
  }

  /**
   * Writes the marker and takes away what older attempts have aside, until the marker is still there behind it. A driver that was replaced may have looked
   * at the marker before and write its own, older one after: its last rename went through, and once its file aside is gone there is no other.
   */
  async #raiseMarker(mark: FenceMark): Promise<void> {
    const { stream, streamId, output, epoch, owner } = mark
    const marker: Marker = { v: 1, stream, streamId, output, epoch, owner }
    if (mark.adopt === true) {
      await writeMarker(this.#directory, marker, systemRandom.id())
      return removeAttemptsBefore(this.#directory, epoch)
    }
    const disk = new FencedDisk(this.#directory, mark, this.#durableFolders)
    for (;;) {
      await disk.put(markerFile(this.#directory), markerText(marker))
      await removeAttemptsBefore(this.#directory, epoch)
      const now = await readMarker(this.#directory)
      if (now?.epoch === epoch && now.owner === owner && now.streamId === streamId) return
      await this.#checkMarker(mark)
    }
  }

  /** Reads the manifest behind the barrier, where it is the last, and puts in order what drivers before have left. */
  async #takeOver(mark: FenceMark): Promise<Driving> {
    const { stream, output, epoch } = mark
    const disk = new FencedDisk(this.#directory, mark, this.#durableFolders)
    const manifest = await ManifestWriter.open(disk, { stream, output, epoch }, this.#clock)
    const older = manifest.version === 0 ? await filesBeforeManifest(this.#directory, mark.lastComplete) : []
    if (older.length > 0) await manifest.publish({ batchId: mark.lastComplete, add: older, remove: [] })
    const rule = rollRule(this.#options) ?? { bytes: 0, ms: 0 }
    const roller = new Roller(disk, manifest, { ...rule, keepMs: this.#options.keepReplacedMs }, this.#clock)
    await roller.removeUncounted(mark.adopt === true)
    const isOfStore = manifest.batchId === mark.lastComplete || manifest.batchId === mark.lastBegun
    if (mark.adopt === true && manifest.version > 0 && !isOfStore) {
      // What is there counts as it is, and batches go on from where the store stands: no part may have the name of one that comes.
      await roller.settle()
      await manifest.publishSnapshot(mark.lastComplete)
    }
    // Parts of a layout before, to which nothing will be added.
    if (!this.#isOfParts) await roller.rollAll()
    await roller.removePartsUntil(mark.lastComplete)
    return { mark, manifest, roller }
  }
}

/** Of a replay and of a backfill: both run as `<stream>~<name>`. */
const IN_REPLAY = "put into a directory beside the job's own, with the name of the replay or backfill behind a ~"

const WRITTEN_BESIDE: Rewritten = {
  addsRows: false,
  sentence: 'put into a second file beside the first; where two files overlap, the one with the higher batch number counts',
  inReplay: IN_REPLAY,
}

const WRITTEN_TWICE: Rewritten = {
  addsRows: true,
  sentence: 'put into files a second time, beside those that have them',
  inReplay: IN_REPLAY,
}
