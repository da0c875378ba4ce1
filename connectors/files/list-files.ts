import { join } from 'node:path'
import type { OffsetRange } from '../../src/core/values.ts'
import { isThere } from './disk-error.ts'
import type { FormatName } from './formats/format.ts'
import type { ManifestFile } from './manifest/manifest-version.ts'
import { readManifest } from './manifest/read-manifest.ts'

/** A file of an output that counts, as its manifest has it. */
export type OutputFile = {
  readonly path: string
  readonly format: FormatName
  readonly bytes: number
  /** Not known of files that are named by ranges. */
  readonly rows?: number
  /** The first and the last batch whose rows it has. */
  readonly batches: readonly [first: number, last: number]
  /** Where its rows come from, if that is one range of one batch. */
  readonly range?: Pick<OffsetRange, 'topic' | 'partition' | 'fromOffset' | 'untilOffset'>
  /** What its folders are named after: null for rows that had nothing there. */
  readonly partition?: Readonly<Record<string, string | null>>
  /** Whether it is still to be put together with others. Then its name ends in `.part`. */
  readonly isPart: boolean
}

const AT_ONCE = 32

/**
 * The files of an output that count, by its manifest: all rows of every batch up to one, each once, and nothing of a batch that is not complete. In the
 * order in which they came; empty where no batch was committed yet. Files that somebody has taken away are left out.
 */
export async function listFiles(directory: string): Promise<OutputFile[]> {
  const manifest = await readManifest(directory)
  if (manifest === undefined) return []
  const all = [...manifest.files.values()]
  const files: OutputFile[] = []
  for (let at = 0; at < all.length; at += AT_ONCE) {
    const some = all.slice(at, at + AT_ONCE).map(file => toOutputFile(directory, file))
    const there = await Promise.all(some.map(({ path }) => isThere(path)))
    files.push(...some.filter((_, index) => there[index]))
  }
  return files
}

function toOutputFile(directory: string, { part, batchTime: _batchTime, path, ...file }: ManifestFile): OutputFile {
  return { ...file, path: join(directory, ...path.split('/')), isPart: part !== undefined }
}
