import { join, relative, sep } from 'node:path'
import type { OffsetRange, Task } from '../../src/core/values.ts'
import { escapeName } from './escape-name.ts'

/** The folder inside an output's directory that holds what is not data. No topic's folder has this name: a leading `_` is escaped. */
const PRIVATE_FOLDER = '_tidemark'
const PARTS = 'parts'
/** As many as the largest safe integer has, so that names sort as their offsets do. */
const OFFSET_DIGITS = 16
const BATCH_DIGITS = 16
const FILE_NAME = /^(\d{16})-(\d{16})-b(\d+)(\.(?:jsonl|csv)(?:\.gz|\.zst)?|\.parquet)$/
const BATCH_FOLDER = /^b(\d{16})$/
const ATTEMPT_NAME = /^e(\d+)-/

/** What the name of a data file says. */
export type FileName = Pick<OffsetRange, 'fromOffset' | 'untilOffset'> & { readonly batchId: number; readonly extension: string }

/** The folder of one partition. */
export function partitionFolder(directory: string, range: OffsetRange): string {
  return join(directory, escapeName(range.topic), String(range.partition))
}

/** The one name of a task's rows: range and batch, so that a second time gives the same file. */
export function dataFile(directory: string, { range, batchId }: Pick<Task, 'range' | 'batchId'>, extension: string): string {
  return join(partitionFolder(directory, range), `${pad(range.fromOffset)}-${pad(range.untilOffset)}-b${batchId}${extension}`)
}

/** What a file in a partition's folder holds by its name; undefined for a file that is not ours. */
export function parseFileName(name: string): FileName | undefined {
  const match = FILE_NAME.exec(name)
  return match
    ? { fromOffset: Number(match[1]), untilOffset: Number(match[2]), batchId: Number(match[3]), extension: match[4] ?? '' }
    : undefined
}

/** Where attempts write before they are renamed: the same file system as the data. */
export function attemptsFolder(directory: string): string {
  return join(directory, PRIVATE_FOLDER, 'attempts')
}

/**
 * The file of one call to write, named by its epoch first, so that a fence can tell the old ones. The attempt's name is not enough: one that is delivered
 * twice runs in two processes, and where they wrote into one file, the first to end would put it in place with the other's half in it.
 */
export function attemptFile(directory: string, task: Task, nonce: string): string {
  return join(attemptsFolder(directory), `e${task.epoch}-b${task.batchId}-${task.index}-${escapeName(task.attempt)}-${nonce}.tmp`)
}

/** What an attempt that writes several files writes them into. */
export function attemptFolder(directory: string, task: Task, nonce: string): string {
  return attemptFile(directory, task, nonce).replace(/\.tmp$/, '.parts')
}

/** Where the driver writes before it renames. */
export function driverFile(directory: string, epoch: number, about: string, nonce: string): string {
  return join(attemptsFolder(directory), `e${epoch}-${about}-${nonce}.tmp`)
}

/** Where parts lie until they are put together, a folder a batch. */
export function partsFolder(directory: string): string {
  return join(directory, PRIVATE_FOLDER, PARTS)
}

/** The folder of one batch's parts, a folder a task. */
export function batchFolder(directory: string, batchId: number): string {
  return join(partsFolder(directory), `b${String(batchId).padStart(BATCH_DIGITS, '0')}`)
}

/** The batch of a folder of parts; undefined for one that is not ours. */
export function parseBatchFolder(name: string): number | undefined {
  const match = BATCH_FOLDER.exec(name)
  return match ? Number(match[1]) : undefined
}

/** The batch of a part by its path in the manifest; undefined for what is no part. */
export function batchOfPart(path: string): number | undefined {
  const [top, parts, batch = ''] = path.split('/')
  return top === PRIVATE_FOLDER && parts === PARTS ? parseBatchFolder(batch) : undefined
}

/** The folder of one task's parts. */
export function taskFolder(directory: string, { batchId, index }: Pick<Task, 'batchId' | 'index'>): string {
  return join(batchFolder(directory, batchId), `t${index}`)
}

/** Where the versions of the manifest are. */
export function manifestFolder(directory: string): string {
  return join(directory, PRIVATE_FOLDER, 'manifest')
}

/** What the driver is about to put in place: what of it no manifest names is a crash's, and goes. */
export function rollingFile(directory: string): string {
  return join(directory, PRIVATE_FOLDER, 'rolling.json')
}

/** A path below the directory as the manifest has it, on every system. */
export function relativePath(directory: string, path: string): string {
  return relative(directory, path).split(sep).join('/')
}

/** The epoch of an attempt's file; undefined for a file that is not ours. */
export function attemptEpoch(name: string): number | undefined {
  const match = ATTEMPT_NAME.exec(name)
  return match ? Number(match[1]) : undefined
}

/** The file that says whose directory this is. */
export function markerFile(directory: string): string {
  return join(directory, PRIVATE_FOLDER, 'output.json')
}

function pad(offset: number): string {
  return String(offset).padStart(OFFSET_DIGITS, '0')
}
