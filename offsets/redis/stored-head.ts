import { ConfigError, UnsupportedError } from '../../src/core/errors.ts'
import type { StreamHead } from '../../src/core/store-rules.ts'
import { HEAD_FIELDS } from './scripts.ts'

/** The layout of a stream's keys. */
const LAYOUT = '1'

/** A stream's head with what tells one write, and one stream of this name, from another. */
export type StoredHead = StreamHead & {
  /**
   * Another text after each write: a count for people, and the id of the write. A count alone would come again after a stream was removed and made
   * again, or after a fail-over to a replica that lacked the last writes, and a decision on the old state would pass for one on the new.
   */
  readonly version: string
  /**
   * The id of the last write that was no renewal: whoever lost the answer finds its own write there. Renewals come from a timer at any moment and
   * leave it alone, or the write before them could not be told from one that never came.
   */
  readonly lastWrite: string
  /** Made at random with the head; unlike the stream id, which a restore brings along, never of two. */
  readonly birth: string
}

/** The head of a stream that is about to be made. */
export function newHead(streamId: string, birth: string): StoredHead {
  const counts = { epoch: 0, lastBatchId: 0, lastCommittedId: 0, lastSeq: 0 }
  return { ...counts, streamId, birth, lease: undefined, retired: undefined, version: '0', lastWrite: '' }
}

/** A head as the fields and values of its hash. Owners and notes are never empty, so an empty text stands for none. */
export function writeHead(head: StoredHead): string[] {
  const { lease, retired, ...rest } = head
  const fields: Record<(typeof HEAD_FIELDS)[number], string | number> = {
    ...rest,
    layout: LAYOUT,
    owner: lease?.owner ?? '',
    renewedAt: lease?.renewedAtMs ?? 0,
    ttlMs: lease?.ttlMs ?? 0,
    retired: retired ?? '',
  }
  return Object.entries(fields).flatMap(([field, value]) => [field, String(value)])
}

/** A head as it was read, in the order of {@link HEAD_FIELDS}. `key` is where from, for messages. */
export function readHead(values: readonly unknown[], key: string): StoredHead {
  const text = new Map(HEAD_FIELDS.map((field, at) => [field, values[at]]))
  const layout = text.get('layout')
  if (layout !== LAYOUT) {
    throw new UnsupportedError(`${key} has layout ${String(layout)}, and this version of tidemark knows ${LAYOUT}. Upgrade tidemark.`)
  }
  const textOf = (field: (typeof HEAD_FIELDS)[number]) => {
    const value = text.get(field)
    if (typeof value === 'string') return value
    throw new ConfigError(`${key} has no ${field}: something else has written to it. Restore the stream from an export.`)
  }
  const numberOf = (field: (typeof HEAD_FIELDS)[number]) => Number(textOf(field))
  const owner = textOf('owner')
  return {
    version: textOf('version'),
    lastWrite: textOf('lastWrite'),
    birth: textOf('birth'),
    streamId: textOf('streamId'),
    epoch: numberOf('epoch'),
    lease: owner === '' ? undefined : { owner, renewedAtMs: numberOf('renewedAt'), ttlMs: numberOf('ttlMs') },
    lastBatchId: numberOf('lastBatchId'),
    lastCommittedId: numberOf('lastCommittedId'),
    lastSeq: numberOf('lastSeq'),
    retired: textOf('retired') || undefined,
  }
}

/** The version after a write of this id. */
export function nextVersion(version: string, writeId: string): string {
  return `${Number.parseInt(version, 10) + 1}-${writeId}`
}
