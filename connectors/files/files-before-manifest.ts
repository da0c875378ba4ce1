import { stat } from 'node:fs/promises'
import type { CompletedBatch } from '../../src/core/sink.ts'
import type { OffsetRange } from '../../src/core/values.ts'
import { onDisk } from './disk-error.ts'
import type { FormatName } from './formats/format.ts'
import { relativePath } from './layout.ts'
import { listRangeFiles } from './list-range-files.ts'
import type { ManifestFile } from './manifest/manifest-version.ts'

/**
 * The files that count in a directory without a manifest, by their names: of batches up to this one. Whatever today's format and layout are: a version
 * before the manifest wrote them, and they are as much the stream's rows as those to come.
 */
export async function filesBeforeManifest(directory: string, lastComplete: number): Promise<ManifestFile[]> {
  const files: ManifestFile[] = []
  for (const { path, batchId: id, extension, topic, partition, fromOffset, untilOffset } of await listRangeFiles(directory)) {
    if (id > lastComplete) continue
    const { size: bytes } = await onDisk('look at', path, () => stat(path))
    const format = extension.split('.', 2)[1] as FormatName
    const range = { topic, partition, fromOffset, untilOffset }
    files.push(rangeFile({ directory, path, format, range, bytes, batch: { id, batchTime: 0 } }))
  }
  return files
}

/** A file that is named by its range, as the manifest has it. */
export function rangeFile(about: {
  readonly directory: string
  readonly path: string
  readonly format: FormatName
  readonly range: OffsetRange
  readonly bytes: number
  readonly batch: Pick<CompletedBatch, 'id' | 'batchTime'>
}): ManifestFile {
  const { topic, partition, fromOffset, untilOffset } = about.range
  return {
    path: relativePath(about.directory, about.path),
    format: about.format,
    bytes: about.bytes,
    batches: [about.batch.id, about.batch.id],
    batchTime: about.batch.batchTime,
    range: { topic, partition, fromOffset, untilOffset },
  }
}
