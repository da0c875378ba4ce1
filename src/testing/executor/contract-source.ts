import { setTimeout } from 'node:timers/promises'
import type { ReadOptions } from '../../core/source.ts'
import type { OffsetRange } from '../../core/values.ts'
import type { MemoryRecord } from '../memory-log.ts'
import { MemorySource, type NewRecord } from '../memory-source.ts'
import { isGateOpen, note } from './notes.ts'
import { THROWN } from './thrown-errors.ts'

/** Topics with their partitions and the records of each. What a topic is called says what becomes of its tasks. */
const TOPICS: Readonly<Record<string, readonly [partitions: number, records: number]>> = {
  /** Nothing happens. */
  plain: [10, 100],
  /** More than an output gathers. */
  many: [1, 1_500],
  /** Gathered as rows of every kind. */
  rich: [1, 5],
  /** Gathered as functions, which go nowhere. */
  functions: [1, 5],
  /** Bytes come, and no record before the gate is open. */
  held: [10, 20],
  /** Records come one by one, and no bytes are told of; all the rest when the gate is open. */
  trickle: [1, 1_000],
  /** The first four records are gone. */
  lost: [1, 10],
  /** The job's function fails on the record at offset 3. */
  'fails-in-map': [1, 10],
  /** The worker exits in the middle of the task, the first time. */
  'exits-once': [1, 10],
  'always-exits': [1, 10],
  /** One of the outputs, `odd`, throws what may pass; the others know nothing of it. */
  'one-fails': [1, 40],
  /** One of the outputs, `odd`, throws that it was fenced; the others wait for the abort. */
  'one-fenced': [1, 40],
  /** One of the outputs, `odd`, never ends; the others know nothing of it. */
  'one-deaf': [1, 10],
  /** The output waits for the abort, and ends by it. */
  'until-aborted': [1, 100],
  /** The output listens to no signal and never ends. */
  deaf: [1, 10],
  /** The output throws the error of this name. */
  ...Object.fromEntries(Object.keys(THROWN).map(name => [`throws-${name}`, [1, 10] as const])),
}

/** How many records come at a time, so that a small range comes in several arrays. */
const CHUNK_RECORDS = 16
const LOOK_EVERY_MS = 10

/** What stands at an offset, the same in every thread and process. */
export function contractRecord(partition: number, offset: number): Required<Pick<NewRecord, 'key' | 'value' | 'timestamp' | 'headers'>> {
  return {
    key: offset % 3 === 0 ? null : `key ${offset}`,
    value: `record ${offset} of partition ${partition}`,
    timestamp: 1_700_000_000_000 + offset,
    headers: [['place', Buffer.from([partition, offset % 256])]],
  }
}

/** What the records of a range weigh. */
export function bytesOf({ partition, fromOffset, untilOffset }: OffsetRange): number {
  let bytes = 0
  for (let offset = fromOffset; offset < untilOffset; offset++) {
    const { key, value } = contractRecord(partition, offset)
    bytes += String(key ?? '').length + String(value).length
  }
  return bytes
}

/** The source of the contract's job: fixed records, made anew wherever the job is, and a note of each read. */
export class ContractSource extends MemorySource {
  readonly #folder: string

  constructor(folder: string) {
    super({ topics: Object.fromEntries(Object.entries(TOPICS).map(([topic, [partitions]]) => [topic, partitions])), name: 'contract' })
    this.#folder = folder
    for (const [topic, [partitions, records]] of Object.entries(TOPICS)) {
      for (let partition = 0; partition < partitions; partition++) {
        this.append(topic, partition, ...Array.from({ length: records }, (_, offset) => contractRecord(partition, offset)))
      }
    }
    this.deleteBefore('lost', 0, 4)
  }

  override async *read(range: OffsetRange, options: ReadOptions = {}): AsyncGenerator<readonly MemoryRecord[]> {
    note(this.#folder, { what: 'read', range, isolation: options.isolation })
    const { onBytes: _, ...quiet } = options
    while (range.topic === 'held' && !isGateOpen(this.#folder)) {
      options.onBytes?.(1)
      await rest(options.signal)
    }
    for await (const records of super.read(range, range.topic === 'trickle' ? quiet : options)) {
      const size = range.topic === 'trickle' ? 1 : CHUNK_RECORDS
      for (let at = 0; at < records.length; at += size) {
        if (range.topic === 'trickle' && !isGateOpen(this.#folder)) await rest(options.signal)
        yield records.slice(at, at + size)
      }
    }
  }

  override async close(): Promise<void> {
    note(this.#folder, { what: 'close', output: 'source' })
  }
}

/** Between two looks at the gate, which is a file: whoever opens it may be another process. Throws the signal's reason. */
async function rest(signal: AbortSignal | undefined): Promise<void> {
  await setTimeout(LOOK_EVERY_MS, undefined, signal && { signal }).catch(() => {})
  signal?.throwIfAborted()
}
