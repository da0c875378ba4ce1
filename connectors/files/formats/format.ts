import type { Task } from '../../../src/core/values.ts'

export type FormatName = 'jsonl' | 'csv' | 'parquet'

/** What a file of rows looks like, and how several become one without their rows being read. */
export interface Format {
  readonly name: FormatName
  /** With the compression: `.jsonl.gz`. */
  readonly extension: string
  /** Files of the same signature can be joined: the same columns and types. */
  readonly signature: string
  /** How many bytes of rows a task holds, of all its files together, before they are written. */
  readonly bufferBytes: number
  encoder(): RowEncoder
}

export type JoinedPart = {
  readonly path: string
  readonly bytes: number
  /** How many of its bytes come before its rows and are there once in a joined file. */
  readonly headerBytes: number
}

/** The rows of one file on their way into it. */
export interface RowEncoder {
  /** Bytes held in memory, roughly. */
  readonly buffered: number
  /** What stands in front of the rows, known once something was given out. */
  readonly headerBytes: number
  /** Takes rows in. `placeOf` tells the place in the task, from 0, of a row by its index here. @throws RecordError */
  add(rows: readonly unknown[], placeOf: (index: number) => number, task: Task): void
  /** All that is buffered as the file's next bytes. They may be views of what the next `add` overwrites. */
  flush(): Promise<readonly Uint8Array[]>
  /** The last bytes of the file. A file without rows is one that readers take for an empty table. */
  end(): Promise<readonly Uint8Array[]>
  /** Gives back memory that is kept for the next bytes; what was given out is written by then. */
  release(): void
}
