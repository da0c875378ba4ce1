import { ConflictError } from '../../src/core/errors.ts'
import type { FenceMark } from '../../src/core/sink.ts'
import type { ManifestState } from './manifest/read-manifest.ts'

/** A file of a batch after the last begun one was written under a store that has forgotten it: its id would be used a second time. */
export function checkUnknownBatches(
  directory: string,
  unknown: readonly { readonly batchId: number; readonly path: string }[],
  { stream, output, lastBegun }: FenceMark,
): void {
  const [first] = unknown
  if (first === undefined) return
  const batchIds = [...new Set(unknown.map(file => file.batchId))].sort((a, b) => a - b)
  throw new ConflictError(
    `${directory} has files of batches up to ${batchIds.at(-1)} of stream ${stream}, and its offset store knows batches up to ` +
      `${lastBegun}: the store was rolled back or replaced. Restore the store, use another directory, or, after having looked, move away the ` +
      `files of batches ${batchIds[0]} to ${batchIds.at(-1)}, such as ${first.path}, and run with --adopt ${output}.`,
    { details: { directory, stream, lastBegun, batchIds: batchIds.slice(0, 1000) } },
  )
}

/**
 * What the manifest knows against the store, and the store against the manifest: it must have every batch that the store has committed with tasks of this
 * output, and none that the store has not begun. A directory without one is new, or of a version that had none.
 */
export function checkManifest(directory: string, manifest: ManifestState | undefined, mark: FenceMark): void {
  if (manifest === undefined) return
  const { stream, output, lastBegun, lastWritten } = mark
  if (manifest.batchId > lastBegun) {
    throw new ConflictError(
      `The manifest of ${directory} counts batches up to ${manifest.batchId} of stream ${stream}, and its offset store knows batches up to ` +
        `${lastBegun}: the store was rolled back or replaced. Restore the store, use another directory, or, after having looked, run with ` +
        `--adopt ${output}; where the files go beyond the store's offsets, first set those to where the files end.`,
      { details: { directory, stream, lastBegun, batchId: manifest.batchId } },
    )
  }
  if (lastWritten !== undefined && manifest.batchId < lastWritten.batchId) {
    throw new ConflictError(
      `The manifest of ${directory} counts batches up to ${manifest.batchId} of stream ${stream}, and its offset store has committed batch ` +
        `${lastWritten.batchId}: the directory was rolled back. Restore it, or replay batches ${manifest.batchId + 1} to ${lastWritten.batchId} ` +
        `and run with --adopt ${output}.`,
      { details: { directory, stream, batchId: manifest.batchId, lastWritten: lastWritten.batchId } },
    )
  }
}
