import { hostname } from 'node:os'
import { ConfigError, ConflictError, FencedError } from '../../src/core/errors.ts'
import type { FenceMark, SinkContext } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import { readIfThere } from './disk-error.ts'
import { replaceFile } from './durable-disk.ts'
import { markerFile } from './layout.ts'
import { parseSaved } from './saved-json.ts'

/** Whose directory this is, and the newest epoch that was here: what the directory knows against the offset store. */
export type Marker = {
  readonly v: 1
  readonly stream: string
  readonly streamId: string
  readonly output: string
  /** 0 and an empty owner before the first fence. */
  readonly epoch: number
  readonly owner: string
}

/** The driver that has the directory. */
export type DriverClaim = Pick<FenceMark, 'stream' | 'streamId' | 'output' | 'epoch'>

type Claim = Pick<SinkContext, 'stream' | 'streamId' | 'output'>

/** The directory's marker; undefined where it has none. */
export async function readMarker(directory: string): Promise<Marker | undefined> {
  const path = markerFile(directory)
  const text = await readIfThere(path)
  return text === undefined ? undefined : parseMarker(text, path)
}

/** Writes the marker so that a crash leaves the old one or the new one. `nonce` keeps two writers' files aside apart. */
export async function writeMarker(directory: string, marker: Marker, nonce: string): Promise<void> {
  const path = markerFile(directory)
  await replaceFile(path, markerText(marker), `${path}.${nonce}.tmp`)
}

/** What the marker's file holds. */
export function markerText(marker: Marker): string {
  return `${JSON.stringify(marker)}\n`
}

/** Throws `ConflictError` where the directory belongs to another stream or output, whose files this one would overwrite or mix with its own. */
export function checkClaim(directory: string, marker: Marker, claim: Claim): void {
  const details = { directory, marker, claim }
  if (marker.streamId !== claim.streamId) {
    throw new ConflictError(
      `${directory} holds the files of stream ${marker.stream} with id ${marker.streamId}; this is stream ${claim.stream} with id ` +
        `${claim.streamId}. Either the offset store was replaced, or two streams share this directory. Use another directory, restore the ` +
        `store, or, after having looked, run with --adopt ${claim.output}.`,
      { details },
    )
  }
  if (marker.output !== claim.output) {
    throw new ConflictError(
      `${directory} holds the files of output ${marker.output} of stream ${marker.stream}; this is its output ${claim.output}. Two outputs in ` +
        `one directory would overwrite each other's files. Give each its own; if the output was only renamed, run with --adopt ${claim.output}.`,
      { details },
    )
  }
}

/**
 * Judges a new lease by what the directory knows: it must not be older than the one that was here last, nor the same epoch in other hands.
 * Throws `FencedError` or `ConflictError`.
 */
export function checkEpoch(directory: string, marker: Marker, mark: FenceMark): void {
  const details = { directory, marker, epoch: mark.epoch, owner: mark.owner }
  if (marker.epoch > mark.epoch) {
    throw new FencedError(
      `${directory} was written to by epoch ${marker.epoch} of stream ${mark.stream} (${marker.owner}); this driver has epoch ${mark.epoch}. ` +
        `Another driver took over, and this one stops. If there is none, the offset store was rolled back: restore it, or, after having ` +
        `looked, run with --adopt ${mark.output}.`,
      { details },
    )
  }
  if (marker.epoch === mark.epoch && marker.owner !== mark.owner) {
    throw new ConflictError(
      `Epoch ${mark.epoch} of stream ${mark.stream} was granted twice: to ${marker.owner}, which wrote to ${directory}, and to ${mark.owner}. ` +
        `The offset store lost a write. Stop both, restore the store, or, after having looked, run with --adopt ${mark.output}.`,
      { details },
    )
  }
}

/** Throws `FencedError` where a newer epoch has been in the directory, or another stream has it by now: this attempt's driver was replaced. */
export function checkNotFenced(directory: string, marker: Marker | undefined, task: Task, streamId: string | undefined): void {
  const isAt = fencedBy(marker, task.epoch, streamId)
  if (isAt === undefined) return
  throw new FencedError(
    `Task ${task.index} of batch ${task.batchId} of stream ${task.stream} carries epoch ${task.epoch}; ${directory} ${isAt}. ` +
      'Another driver took over and runs the task again; this attempt wrote nothing.',
    { details: { directory, epoch: task.epoch, fencedBy: marker?.epoch, batchId: task.batchId, index: task.index } },
  )
}

/** The same for the driver itself, which was putting `path` in place. */
export function checkDriverNotFenced(directory: string, marker: Marker | undefined, mark: DriverClaim, path: string): void {
  const isAt = fencedBy(marker, mark.epoch, mark.streamId)
  if (isAt === undefined) return
  throw new FencedError(
    `The driver of stream ${mark.stream} with epoch ${mark.epoch} was to put ${path} in place; ${directory} ${isAt}. ` +
      'Another driver took over, and this one stops; nothing was put in place.',
    { details: { directory, epoch: mark.epoch, fencedBy: marker?.epoch, path } },
  )
}

function fencedBy(marker: Marker | undefined, epoch: number, streamId: string | undefined): string | undefined {
  if (marker === undefined) return undefined
  if (streamId !== undefined && marker.streamId !== streamId) return `has gone to the stream with id ${marker.streamId}`
  return marker.epoch > epoch ? `is at ${marker.epoch}` : undefined
}

/**
 * Throws `ConfigError` where nobody has prepared the directory. Its driver did, so this is another directory: of an executor on another machine, where the
 * path names a disk of its own. Rows would be where nobody looks, and no fence could keep an old attempt away.
 */
export function checkIsShared(directory: string, marker: Marker | undefined, task: Task): void {
  if (marker !== undefined) return
  throw new ConfigError(
    `${directory} on ${hostname()} is not the directory that the driver of stream ${task.stream} has prepared for output ${task.output}: it lacks ` +
      `${markerFile(directory)}. Executors on several machines need one directory that all of them mount at this path; where the file was removed, start ` +
      'the stream again.',
    { details: { directory, output: task.output } },
  )
}

function parseMarker(text: string, path: string): Marker {
  const isWhole = ({ streamId, output, epoch }: Partial<Marker>) =>
    typeof streamId === 'string' && typeof output === 'string' && typeof epoch === 'number'
  return parseSaved(text, path, isWhole, 'Look at it, and remove it if the directory belongs to this output.')
}
