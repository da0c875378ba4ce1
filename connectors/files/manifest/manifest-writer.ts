import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../../src/core/clock.ts'
import { isThere } from '../disk-error.ts'
import type { FencedDisk } from '../fenced-disk.ts'
import { manifestFolder } from '../layout.ts'
import { type ManifestFile, type ManifestVersion, versionName } from './manifest-version.ts'
import { listVersions, type ManifestState, readManifest } from './read-manifest.ts'

/**
 * A snapshot comes after so many changes, and not before there are a fourth as many as files. So in the long run a batch costs some times what it brings,
 * however many files there are, and a reader reads no more versions than a fourth of them.
 */
const FEWEST_CHANGES = 100
const FILES_A_CHANGE = 4
const CHECKED_AT_ONCE = 32

type About = Pick<ManifestVersion, 'stream' | 'output' | 'epoch'>

const EMPTY: ManifestState = { version: 0, batchId: 0, files: new Map(), replaced: new Map(), snapshotVersion: 0, changesSince: 0 }

/** What a new version changes. */
export type ManifestChange = { readonly batchId: number; readonly add: readonly ManifestFile[]; readonly remove: readonly string[] }

/**
 * The manifest in the hands of the one driver who may write it. Each version is written aside, fsynced and renamed, so a reader finds all of a batch or
 * nothing of it. Made behind the fence's barrier: an older driver can put no version in place any more, so the one that is read here is the last.
 */
export class ManifestWriter {
  readonly #disk: FencedDisk
  readonly #about: About
  readonly #clock: Clock
  readonly #files: Map<string, ManifestFile>
  readonly #replaced: Map<string, number>
  #version: number
  #batchId: number
  #snapshotVersion: number
  #changesSince: number

  private constructor(disk: FencedDisk, about: About, clock: Clock, state: ManifestState) {
    this.#disk = disk
    this.#about = about
    this.#clock = clock
    this.#files = new Map(state.files)
    this.#replaced = new Map(state.replaced)
    this.#version = state.version
    this.#batchId = state.batchId
    this.#snapshotVersion = state.snapshotVersion
    this.#changesSince = state.changesSince
  }

  static async open(disk: FencedDisk, about: About, clock: Clock): Promise<ManifestWriter> {
    return new ManifestWriter(disk, about, clock, (await readManifest(disk.directory)) ?? EMPTY)
  }

  /** 0 where the directory has no manifest yet. */
  get version(): number {
    return this.#version
  }

  /** The last batch that counts with all its rows; 0 before the first. */
  get batchId(): number {
    return this.#batchId
  }

  get files(): ReadonlyMap<string, ManifestFile> {
    return this.#files
  }

  /** Parts that no longer count and were not removed yet, by their paths, and since when; also those of drivers before. */
  get replaced(): ReadonlyMap<string, number> {
    return this.#replaced
  }

  /** A replaced part is there no more. */
  forgetReplaced(path: string): void {
    this.#replaced.delete(path)
  }

  /** Makes a change durable, and visible all at once. */
  async publish({ batchId, add, remove }: ManifestChange): Promise<void> {
    const at = this.#clock.now()
    const changes = this.#changesSince + add.length + remove.length
    const isSnapshot = this.#version === 0 || changes >= Math.max(FEWEST_CHANGES, this.#files.size / FILES_A_CHANGE)
    if (!isSnapshot) await this.#write({ version: this.#version + 1, batchId, snapshot: false, add, remove, at })
    else await this.#writeSnapshot({ batchId, add, remove }, at)
    for (const path of remove) {
      this.#files.delete(path)
      this.#replaced.set(path, at)
    }
    for (const file of add) this.#files.set(file.path, file)
    this.#version += 1
    this.#batchId = batchId
    if (!isSnapshot) this.#changesSince = changes
    else await this.#afterSnapshot()
  }

  /** Says once more all that counts, without what was taken away. */
  publishSnapshot(batchId: number): Promise<void> {
    this.#changesSince = Number.POSITIVE_INFINITY
    return this.publish({ batchId, add: [], remove: [] })
  }

  async #writeSnapshot({ batchId, add, remove }: ManifestChange, at: number): Promise<void> {
    const missing = await this.#missing([...this.#files.values()])
    for (const path of missing) this.#files.delete(path)
    const gone = [...remove, ...missing]
    const removed = new Set(remove)
    const all = [...[...this.#files.values()].filter(({ path }) => !removed.has(path)), ...add]
    const replaced = [...this.#replaced].map(([path, since]) => ({ path, at: since }))
    await this.#write({ version: this.#version + 1, batchId, snapshot: true, add: all, remove: gone, at, replaced })
  }

  async #afterSnapshot(): Promise<void> {
    const before = this.#snapshotVersion
    this.#snapshotVersion = this.#version
    this.#changesSince = 0
    await this.#forget(before)
  }

  async #write(version: Omit<ManifestVersion, 'v' | 'stream' | 'output' | 'epoch'>): Promise<void> {
    const path = join(manifestFolder(this.#disk.directory), versionName(version.version))
    await this.#disk.put(path, `${JSON.stringify({ v: 1, ...this.#about, ...version })}\n`)
  }

  /** People take files of theirs away, such as a year that is over. Parts are not theirs: one that is missing is an error to whoever joins it. */
  async #missing(files: readonly ManifestFile[]): Promise<string[]> {
    const missing: string[] = []
    const theirs = files.filter(({ part }) => part === undefined)
    for (let at = 0; at < theirs.length; at += CHECKED_AT_ONCE) {
      await Promise.all(
        theirs.slice(at, at + CHECKED_AT_ONCE).map(async ({ path }) => {
          if (!(await isThere(join(this.#disk.directory, path)))) missing.push(path)
        }),
      )
    }
    return missing
  }

  /**
   * Removes the versions before the snapshot that was the last until now: whoever is reading may still be at it. Oldest first, so that what is left is
   * never a version that takes away what none adds. That it does not succeed is no news beside a batch that is in.
   */
  async #forget(before: number): Promise<void> {
    const folder = manifestFolder(this.#disk.directory)
    const versions = await listVersions(folder).catch(() => [])
    try {
      for (const version of versions) if (version < before) await rm(join(folder, versionName(version)), { force: true })
    } catch {
      // The next snapshot tries again.
    }
  }
}
