import { joinParquet } from '../parquet/join-parquet.ts'
import type { AppendFile } from './append-file.ts'
import type { FormatName, JoinedPart } from './format.ts'

/** Appends whole files of one signature to `file`, which is empty, so that it has their rows in their order. Rows are not read for it. */
export async function joinFiles(format: FormatName, parts: readonly JoinedPart[], file: AppendFile): Promise<void> {
  if (format === 'parquet') return joinParquet(parts, file)
  // Members of gzip and frames of zstd may follow each other, as lines may.
  for (const [index, { path, bytes, headerBytes }] of parts.entries()) await file.appendFrom(path, index === 0 ? 0 : headerBytes, bytes)
}
