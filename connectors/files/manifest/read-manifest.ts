import { join } from 'node:path'
import { ConflictError } from '../../../src/core/errors.ts'
import { listIfThere, readIfThere } from '../disk-error.ts'
import { batchOfPart, manifestFolder } from '../layout.ts'
import { type ManifestFile, type ManifestVersion, parseVersion, parseVersionName, versionName } from './manifest-version.ts'

/** What a manifest says at a time. */
export type ManifestState = {
  readonly version: number
  readonly batchId: number
  /** The files that count, by their paths, in the order in which they came. */
  readonly files: ReadonlyMap<string, ManifestFile>
  /** Parts that no longer count and may still be there, by their paths, and since when, milliseconds since 1970. */
  readonly replaced: ReadonlyMap<string, number>
  /** The version of the newest snapshot, and how many files came and went since. */
  readonly snapshotVersion: number
  readonly changesSince: number
}

/** Old versions go while a reader is between two of them; then it begins again, and has as many tries. */
const TRIES = 10

/** The manifest of an output's directory; undefined where it has none. */
export async function readManifest(directory: string): Promise<ManifestState | undefined> {
  const folder = manifestFolder(directory)
  for (let tries = 1; ; tries++) {
    const versions = await listVersions(folder)
    const last = versions.at(-1)
    if (last === undefined) return undefined
    try {
      return applyVersions(await readBack(folder, last))
    } catch (error) {
      const isGone = error instanceof VersionGone
      if (isGone && tries < TRIES) continue
      if (!isGone) throw error
      throw new ConflictError(
        `The manifest in ${folder} has a version ${last} and lacks version ${error.version}, which it rests on. Restore it: without it nobody knows ` +
          'which files of the output count.',
        { details: { folder, version: error.version } },
      )
    }
  }
}

/** The versions that are there, in their order. */
export async function listVersions(folder: string): Promise<number[]> {
  const entries = await listIfThere(folder)
  return entries.flatMap(({ name }) => parseVersionName(name) ?? []).sort((a, b) => a - b)
}

class VersionGone extends Error {
  readonly version: number

  constructor(version: number) {
    super(`version ${version} is gone`)
    this.version = version
  }
}

/** From the newest version back to the newest snapshot; given oldest first. */
async function readBack(folder: string, last: number): Promise<ManifestVersion[]> {
  const found: ManifestVersion[] = []
  for (let version = last; ; version--) {
    if (version < 1) throw new VersionGone(1)
    const path = join(folder, versionName(version))
    const text = await readIfThere(path)
    if (text === undefined) throw new VersionGone(version)
    const parsed = parseVersion(text, path)
    found.unshift(parsed)
    if (parsed.snapshot) return found
  }
}

function applyVersions(versions: readonly ManifestVersion[]): ManifestState {
  const files = new Map<string, ManifestFile>()
  const gone = new Map<string, number>()
  let changesSince = 0
  // A version of before there were times has none: nobody waits for its parts any more.
  for (const { snapshot, add, remove, at = 0, replaced = [] } of versions) {
    for (const part of replaced) gone.set(part.path, part.at)
    for (const file of add) files.set(file.path, file)
    for (const path of remove) {
      files.delete(path)
      if (batchOfPart(path) !== undefined) gone.set(path, at)
    }
    if (!snapshot) changesSince += add.length + remove.length
  }
  const [first, last] = [versions[0], versions.at(-1)] as [ManifestVersion, ManifestVersion]
  return { version: last.version, batchId: last.batchId, files, replaced: gone, snapshotVersion: first.version, changesSince }
}
