import { UnsupportedError } from '../../../../src/core/errors.ts'
import type { FenceRow } from '../../../../src/core/fence-rules.ts'
import type { OffsetRange, Task } from '../../../../src/core/values.ts'

/** Whose records they are: one output of one stream. Fences go by the stream's name, so that a stream of another id is met; all else by its id. */
export type LedgerOwner = { readonly stream: string; readonly streamId: string; readonly output: string }

/**
 * What the ledger topic holds of an output:
 * - `fence`, one: the fence row;
 * - `task`, one an applied task of a batch that is not known to be complete: the range that is in;
 * - `id`, one a transactional id that attempts have used since the last takeover: what the barrier has to initialise.
 *
 * A record without a value takes the one of its key away.
 */
export type LedgerRecord =
  | { readonly kind: 'fence'; readonly row: FenceRow | undefined }
  | { readonly kind: 'task'; readonly batchId: number; readonly index: number; readonly range: OffsetRange | undefined }
  | { readonly kind: 'id'; readonly index: number; readonly isUsed: boolean }

const VERSION = 1

/** A record's key and value as text. Keys are JSON lists, so that no name can be mistaken for another. */
export function encodeLedgerRecord({ stream, streamId, output }: LedgerOwner, record: LedgerRecord): { key: string; value: string | null } {
  switch (record.kind) {
    case 'fence':
      return {
        key: JSON.stringify(['fence', stream, output]),
        value: record.row === undefined ? null : JSON.stringify({ v: VERSION, ...record.row }),
      }
    case 'task': {
      const { batchId, index, range } = record
      const key = JSON.stringify(['task', streamId, output, batchId, index])
      if (range === undefined) return { key, value: null }
      const { topic, partition, fromOffset, untilOffset } = range
      return { key, value: JSON.stringify({ v: VERSION, topic, partition, fromOffset, untilOffset }) }
    }
    case 'id':
      return { key: JSON.stringify(['id', streamId, output, record.index]), value: record.isUsed ? JSON.stringify({ v: VERSION }) : null }
    default:
      return record satisfies never
  }
}

/** The ledger record of a task that is in. */
export function appliedRecord({ batchId, index, range }: Task): LedgerRecord {
  return { kind: 'task', batchId, index, range }
}

/** Reads the records of one output and passes over those of all others, by the beginnings of their keys. */
export class LedgerRecordReader {
  readonly #fenceKey: string
  readonly #taskPrefix: string
  readonly #idPrefix: string

  constructor({ stream, streamId, output }: LedgerOwner) {
    const prefixOf = (kind: string) => `${JSON.stringify([kind, streamId, output]).slice(0, -1)},`
    this.#fenceKey = JSON.stringify(['fence', stream, output])
    this.#taskPrefix = prefixOf('task')
    this.#idPrefix = prefixOf('id')
  }

  /** Undefined for another's record. @throws UnsupportedError for one of a version that is not known here */
  read(key: Buffer | null, value: Buffer | null): LedgerRecord | undefined {
    const name = key?.toString('utf8') ?? ''
    if (name === this.#fenceKey) {
      if (value === null) return { kind: 'fence', row: undefined }
      const { streamId, epoch, owner, lastBegun, lastComplete } = parseValue<FenceRow>(name, value)
      return { kind: 'fence', row: { streamId, epoch, owner, lastBegun, lastComplete } }
    }
    if (name.startsWith(this.#taskPrefix)) {
      const [, , , batchId, index] = JSON.parse(name) as [string, string, string, number, number]
      if (value === null) return { kind: 'task', batchId, index, range: undefined }
      const { topic, partition, fromOffset, untilOffset } = parseValue<OffsetRange>(name, value)
      return { kind: 'task', batchId, index, range: { topic, partition, fromOffset, untilOffset } }
    }
    if (name.startsWith(this.#idPrefix)) {
      const [, , , index] = JSON.parse(name) as [string, string, string, number]
      if (value !== null) parseValue(name, value)
      return { kind: 'id', index, isUsed: value !== null }
    }
    return undefined
  }
}

function parseValue<T>(key: string, value: Buffer): T {
  let parsed: { readonly v?: unknown }
  try {
    parsed = JSON.parse(value.toString('utf8')) as { readonly v?: unknown }
  } catch (cause) {
    throw new UnsupportedError(`Record ${key} of the ledger topic is not what Tidemark wrote. Who else writes there?`, {
      details: { key },
      cause,
    })
  }
  if (parsed.v !== VERSION) {
    throw new UnsupportedError(
      `Record ${key} of the ledger topic has version ${String(parsed.v)}, and this Tidemark knows ${VERSION}. Use the version that wrote it, or a newer one.`,
      { details: { key, version: parsed.v } },
    )
  }
  return parsed as T
}
