import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import type { CompletedBatch } from '../../src/core/sink.ts'
import { listIfThere, onDisk, readIfThere } from './disk-error.ts'
import type { FencedDisk } from './fenced-disk.ts'
import { joinFiles } from './formats/join-files.ts'
import { batchFolder, batchOfPart, parseBatchFolder, partsFolder, relativePath, rollingFile } from './layout.ts'
import { RECORD_NAME } from './layouts/task-record.ts'
import type { ManifestFile } from './manifest/manifest-version.ts'
import type { ManifestWriter } from './manifest/manifest-writer.ts'
import { parseSaved } from './saved-json.ts'

/** When parts become a file. */
export type RollRule = {
  readonly bytes: number
  /** Of batch times, between the oldest part and the batch that is committed. */
  readonly ms: number
  /** How long parts that were put together stay for those who have them in a list, by the clock: readers know nothing of batch times. */
  readonly keepMs: number
}

type Part = ManifestFile & { readonly part: NonNullable<ManifestFile['part']> }
type Replaced = { readonly path: string; readonly batchId: number; readonly since: number }
type Rolled = { readonly file: ManifestFile; readonly aside: string }

/**
 * Puts parts together into files, and says so in the manifest together with the batch. In this order, each step durable before the next:
 *
 * 1. the joined file aside, 2. its name in `_tidemark/rolling.json`, 3. the rename, 4. the version of the manifest that has it and no longer its parts,
 * 5. the parts go.
 *
 * A driver that ends before 4 leaves parts that count and perhaps a file that does not, which the next removes by 2; one that ends behind it leaves parts
 * that do not count, which the next removes too. A name has its epoch and version in it and is never used again, so a driver that wakes up while it
 * cleans removes nothing of another's: what `rolling.json` names of a newer epoch is not its to judge.
 */
export class Roller {
  readonly #disk: FencedDisk
  readonly #manifest: ManifestWriter
  readonly #rule: RollRule
  readonly #clock: Clock
  /** Parts that count and wait, by where they go. */
  readonly #waiting = new Map<string, Part[]>()
  /** Parts that no longer count, and since when. */
  #replaced: Replaced[] = []
  /** How many parts of a batch are still there for a reason. */
  readonly #kept = new Map<number, number>()
  /** Whether something was put in place of which the manifest may know nothing. */
  #isUncertain = false

  constructor(disk: FencedDisk, manifest: ManifestWriter, rule: RollRule, clock: Clock) {
    this.#disk = disk
    this.#manifest = manifest
    this.#rule = rule
    this.#clock = clock
    for (const file of manifest.files.values()) if (isPart(file)) this.#wait(file)
    // A reader may have read the list before a restart. Another machine's clock may have been ahead of this one's.
    for (const [path, at] of manifest.replaced) this.#keep({ path, batchId: batchOfPart(path) ?? 0, since: Math.min(at, clock.now()) })
  }

  /**
   * Takes away files that drivers before put in place and no manifest names: before anything is put together, which writes over the list of them. Those of
   * a newer epoch are a successor's, on whose list this one has come late, and may count by now; after `--adopt` nobody is newer.
   */
  async removeUncounted(isAdopted: boolean): Promise<void> {
    for (const path of await readRolling(this.#disk.directory)) {
      const isNewer = !isAdopted && epochOfName(path) > this.#disk.epoch
      if (!isNewer && !this.#manifest.files.has(path)) await this.#remove(path)
    }
  }

  /** Takes away parts that were put together long enough ago, and those of batches that never counted. */
  async removePartsUntil(lastComplete: number): Promise<void> {
    await this.removeReplaced(lastComplete)
    const { directory } = this.#disk
    const isKept = new Set(this.#replaced.map(({ path }) => path))
    for (const { name } of await listIfThere(partsFolder(directory))) {
      const batchId = parseBatchFolder(name)
      if (batchId === undefined || batchId > lastComplete) continue
      if (!this.#kept.has(batchId)) {
        await this.#remove(relativePath(directory, batchFolder(directory, batchId)))
        continue
      }
      for (const task of await listIfThere(batchFolder(directory, batchId))) {
        for (const part of await listIfThere(join(batchFolder(directory, batchId), task.name))) {
          const path = relativePath(directory, join(batchFolder(directory, batchId), task.name, part.name))
          if (part.name !== RECORD_NAME && !this.#manifest.files.has(path) && !isKept.has(path)) await this.#remove(path)
        }
      }
    }
  }

  /** Puts together all that waits and removes all parts, so that no batch to come finds one of its name. */
  async settle(): Promise<void> {
    await this.rollAll()
    await this.#remove(relativePath(this.#disk.directory, partsFolder(this.#disk.directory)))
    for (const { path } of this.#replaced) this.#manifest.forgetReplaced(path)
    this.#replaced = []
    this.#kept.clear()
  }

  /** Makes a batch count: its parts, put together with those before where they are enough. */
  async commit(batch: CompletedBatch, parts: readonly ManifestFile[]): Promise<void> {
    await this.#publish(batch.id, parts.filter(isPart), waiting => this.#isDue(waiting, batch.batchTime))
    await this.removeReplaced(batch.id - 1)
  }

  /**
   * Puts together all that waits: nothing comes any more. Not behind a commit that failed: the list of what that put in place would be written over, and
   * files that never count would stay where a pattern finds them, beside those that have the same rows. The next driver sees to it.
   */
  async rollAll(): Promise<void> {
    if (this.#waiting.size === 0 || this.#isUncertain) return
    await this.#publish(this.#manifest.batchId, [], () => true)
  }

  #isDue(parts: readonly Part[], batchTime: number): boolean {
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
    const oldest = parts.reduce((least, part) => Math.min(least, part.batchTime), batchTime)
    return bytes >= this.#rule.bytes || batchTime - oldest >= this.#rule.ms
  }

  async #publish(batchId: number, parts: readonly Part[], isDue: (parts: readonly Part[]) => boolean): Promise<void> {
    const added = groupByTarget(parts)
    const due: Part[][] = []
    for (const target of new Set([...this.#waiting.keys(), ...added.keys()])) {
      const group = [...(this.#waiting.get(target) ?? []), ...(added.get(target) ?? [])]
      if (isDue(group)) due.push(group)
    }
    const rolled: Rolled[] = []
    this.#isUncertain = true
    try {
      for (const group of due) rolled.push(await this.#join(group, rolled.length))
      if (rolled.length > 0) await this.#disk.put(rollingFile(this.#disk.directory), rollingText(rolled))
      for (const { aside, file } of rolled) await this.#disk.place(aside, join(this.#disk.directory, file.path))
    } finally {
      for (const { aside } of rolled) await rm(aside, { force: true }).catch(() => {})
    }
    const gone = new Set(due.flat().map(({ path }) => path))
    await this.#manifest.publish({
      batchId,
      add: [...rolled.map(({ file }) => file), ...parts.filter(({ path }) => !gone.has(path))],
      remove: [...gone].filter(path => this.#manifest.files.has(path)),
    })
    this.#isUncertain = false
    for (const part of parts) this.#wait(part)
    const since = this.#clock.now()
    for (const [target, group] of groupByTarget(due.flat())) {
      this.#waiting.delete(target)
      for (const { path, batches } of group) this.#replaced.push({ path, batchId: batches[1], since })
    }
    // Of a batch without parts the folder goes as well.
    if (!this.#kept.has(batchId)) this.#kept.set(batchId, 0)
  }

  async #join(group: readonly Part[], nth: number): Promise<Rolled> {
    const [first] = group as [Part, ...Part[]]
    const batches = [Math.min(...group.map(part => part.batches[0])), Math.max(...group.map(part => part.batches[1]))] as const
    const file = this.#disk.newFile('roll')
    try {
      const joined = group.map(({ path, bytes, part }) => ({
        path: join(this.#disk.directory, path),
        bytes,
        headerBytes: part.headerBytes,
      }))
      await joinFiles(first.format, joined, file)
      await file.finish()
    } catch (error) {
      await file.park()
      await rm(file.path, { force: true }).catch(() => {})
      throw error
    }
    const name = `b${padBatch(batches[0])}-b${padBatch(batches[1])}-e${this.#disk.epoch}-v${this.#manifest.version + 1}-${nth}${first.part.extension}`
    return {
      aside: file.path,
      file: {
        path: first.part.folder === '' ? name : `${first.part.folder}/${name}`,
        format: first.format,
        bytes: file.bytes,
        rows: group.reduce((sum, { rows = 0 }) => sum + rows, 0),
        batches,
        batchTime: Math.max(...group.map(({ batchTime }) => batchTime)),
        ...(first.partition !== undefined && { partition: first.partition }),
      },
    }
  }

  #wait(part: Part): void {
    const target = targetOf(part)
    const waiting = this.#waiting.get(target)
    if (waiting === undefined) this.#waiting.set(target, [part])
    else waiting.push(part)
    this.#count(part.batches[1], 1)
  }

  #keep(replaced: Replaced): void {
    this.#replaced.push(replaced)
    this.#count(replaced.batchId, 1)
  }

  #count(batchId: number, difference: 1 | -1): void {
    this.#kept.set(batchId, (this.#kept.get(batchId) ?? 0) + difference)
  }

  /**
   * Removes parts of batches up to `lastComplete` that were put together long enough ago. Never those of a batch that the store may not have committed:
   * they are how a task that comes again knows that it is in. That one cannot be removed is no news beside a batch that counts.
   */
  async removeReplaced(lastComplete: number): Promise<void> {
    const now = this.#clock.now()
    const isOver = ({ batchId, since }: Replaced) => batchId <= lastComplete && now - since >= this.#rule.keepMs
    const over = this.#replaced.filter(isOver)
    this.#replaced = this.#replaced.filter(part => !isOver(part))
    for (const { path, batchId } of over) {
      await this.#remove(path).catch(() => {})
      this.#manifest.forgetReplaced(path)
      this.#count(batchId, -1)
    }
    for (const [batchId, count] of this.#kept) {
      if (count > 0 || batchId > lastComplete) continue
      this.#kept.delete(batchId)
      await this.#remove(relativePath(this.#disk.directory, batchFolder(this.#disk.directory, batchId))).catch(() => {})
    }
  }

  #remove(path: string): Promise<void> {
    const full = join(this.#disk.directory, path)
    return onDisk('remove', full, () => rm(full, { recursive: true, force: true }))
  }
}

function isPart(file: ManifestFile): file is Part {
  return file.part !== undefined
}

/** Parts of one target become one file: the same folder, columns and compression. */
function targetOf({ part }: Part): string {
  return JSON.stringify([part.folder, part.extension, part.signature])
}

function groupByTarget(parts: readonly Part[]): Map<string, Part[]> {
  return Map.groupBy(parts, targetOf)
}

/** What is about to be put in place. Saved, so it carries a version. */
type Rolling = { readonly v: 1; readonly paths: readonly string[] }

function rollingText(rolled: readonly Rolled[]): string {
  const rolling: Rolling = { v: 1, paths: rolled.map(({ file }) => file.path) }
  return `${JSON.stringify(rolling)}\n`
}

async function readRolling(directory: string): Promise<readonly string[]> {
  const path = rollingFile(directory)
  const text = await readIfThere(path)
  if (text === undefined) return []
  return parseSaved<Rolling>(text, path, ({ paths }) => Array.isArray(paths), 'Look at it: it names files that may not count.').paths
}

/** The epoch in the name of a file that was put together. */
function epochOfName(path: string): number {
  return Number(/-e(\d+)-v\d+-\d+\.[a-z.]+$/.exec(path)?.[1] ?? 0)
}

/** Padded, so that the names of a folder sort as their batches do. */
function padBatch(batchId: number): string {
  return String(batchId).padStart(10, '0')
}
