import type { OffsetRange } from '../../../src/core/values.ts'
import type { FormatName } from '../formats/format.ts'
import { parseSaved } from '../saved-json.ts'

/** A file that counts. Its path is below the output's directory, with `/` between folders. */
export type ManifestFile = {
  readonly path: string
  readonly format: FormatName
  readonly bytes: number
  /** Not known of files that are named by ranges. */
  readonly rows?: number
  /** The first and the last batch whose rows it has. */
  readonly batches: readonly [first: number, last: number]
  /** Of the last of them, milliseconds since 1970. */
  readonly batchTime: number
  /** Where its rows come from, if that is one range of one batch. */
  readonly range?: Pick<OffsetRange, 'topic' | 'partition' | 'fromOffset' | 'untilOffset'>
  /** By what its folders are named. */
  readonly partition?: Readonly<Record<string, string | null>>
  /** Of a part that is still to be put together with others. */
  readonly part?: { readonly folder: string; readonly extension: string; readonly headerBytes: number; readonly signature: string }
}

/** One step of the manifest, a file of its own: what it adds and what it takes away. Saved, so it carries a format's version beside its own number. */
export type ManifestVersion = {
  readonly v: 1
  /** 1, 2, 3, … */
  readonly version: number
  /** Whether `add` is all that counts, so that nothing before it need be read. */
  readonly snapshot: boolean
  readonly stream: string
  readonly output: string
  readonly epoch: number
  /** The last batch that counts with all its rows. */
  readonly batchId: number
  readonly add: readonly ManifestFile[]
  /** What counted before and does not any more; also in a snapshot, for those who read by what all versions add and remove. */
  readonly remove: readonly string[]
  /** When it was written, milliseconds since 1970 by its driver's clock: how long parts that it takes away have to stay. */
  readonly at?: number
  /** Of a snapshot: parts that versions before it took away, and that are still there for their readers. */
  readonly replaced?: readonly ReplacedPart[]
}

/** A part whose rows count as another file's, and since when. */
export type ReplacedPart = { readonly path: string; readonly at: number }

const NAME = /^(\d{16})\.json$/

/** The file of a version. Padded, so that names sort as versions do. */
export function versionName(version: number): string {
  return `${String(version).padStart(16, '0')}.json`
}

/** The version of a file; undefined for a file that is not ours. */
export function parseVersionName(name: string): number | undefined {
  const match = NAME.exec(name)
  return match ? Number(match[1]) : undefined
}

/** Reads a version's text. Throws `ConflictError` for what Tidemark did not write, `UnsupportedError` for what a newer one wrote. */
export function parseVersion(text: string, path: string): ManifestVersion {
  const isWhole = ({ version, batchId, add, remove }: Partial<ManifestVersion>) =>
    typeof version === 'number' && typeof batchId === 'number' && Array.isArray(add) && Array.isArray(remove)
  return parseSaved(text, path, isWhole, 'Restore it: without it nobody knows which files of the output count.')
}
