import { join } from 'node:path'
import { ConflictError } from '../../src/core/errors.ts'
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
  for (let before: number | undefined; ; ) {
    const manifest = await readManifest(directory)
    if (manifest === undefined) return []
    const all = [...manifest.files.values()].map(file => toOutputFile(directory, file))
    const missing = await missingOf(all)
    // Parts are nobody's to take away. Since the manifest was read they were put together and removed: left out, their rows would be in no file of the list.
    const part = all.find(file => file.isPart && missing.has(file.path))
    if (part === undefined) return all.filter(({ path }) => !missing.has(path))
    if (manifest.version === before) {
      throw new ConflictError(
        `${part.path} is gone, and the manifest of ${directory} counts its rows: somebody has removed it. Restore it.`,
        {
          details: { directory, path: part.path },
        },
      )
    }
    before = manifest.version
  }
}

async function missingOf(files: readonly OutputFile[]): Promise<Set<string>> {
  const missing = new Set<string>()
  for (let at = 0; at < files.length; at += AT_ONCE) {
    const some = files.slice(at, at + AT_ONCE)
    const there = await Promise.all(some.map(({ path }) => isThere(path)))
    for (const [index, { path }] of some.entries()) if (!there[index]) missing.add(path)
  }
  return missing
}

function toOutputFile(directory: string, { part, batchTime: _batchTime, path, ...file }: ManifestFile): OutputFile {
  return { ...file, path: join(directory, ...path.split('/')), isPart: part !== undefined }
}
