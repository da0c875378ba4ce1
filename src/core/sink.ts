import type { Log } from './log.ts'
import type { Batch, OffsetRange, Task } from './values.ts'

/** What an output promises when a task runs twice. See DESIGN.md, "Exactly-once". */
export type Guarantee = 'exactly-once' | 'idempotent' | 'at-least-once'

/** Whether slices of one partition must reach the sink one after another (`partition`) or may side by side (`none`). */
export type Ordering = 'partition' | 'none'

/** What a sink is told when it is prepared and opened. */
export type SinkContext = {
  readonly stream: string
  /** The random id the store gave the stream: the witness that tells a replaced store from the one that was here before. */
  readonly streamId: string
  /** The output's name, part of every ledger key. */
  readonly output: string
  readonly signal: AbortSignal
  readonly log: Log
  /** Whether its rows are dead letters, as `onRecordError: deadLetter(sink)` says. */
  readonly isOfDeadLetters?: boolean
  /** To `prepare`: a person has looked, and whatever contradicts the store gives way (`--adopt`). */
  readonly adopt?: boolean
}

/** What the driver says to an output after `begin` and before the first task, and after a takeover. Nothing older may write from then on. */
export type FenceMark = {
  readonly stream: string
  readonly streamId: string
  readonly output: string
  readonly epoch: number
  readonly owner: string
  /** The batch whose tasks come next; the same as `lastComplete` where there is none. */
  readonly lastBegun: number
  readonly lastComplete: number
  /**
   * The last committed batch that had tasks for this output, and how many (undefined where the intent does not say): what the destination must know
   * of, or it was rolled back, since the last start or under a driver that runs on. Undefined where there is none.
   */
  readonly lastWritten?: { readonly batchId: number; readonly tasks: number | undefined }
  /** A person has looked, and the fence is set to these values, whatever it was (`--adopt`). */
  readonly adopt?: boolean
}

/**
 * What becomes of rows that come a second time under another batch id, after a rewind or in a replay: what a person is told before they agree to it.
 * Each sentence goes on after "Its rows are …".
 */
export type Rewritten = {
  /** Whether the destination then holds them twice. */
  readonly addsRows: boolean
  /** After a rewind, such as `appended a second time`. */
  readonly sentence: string
  /** In a replay, which is a stream of its own, where that is something else. @default sentence */
  readonly inReplay?: string
}

/** A batch as an output sees it when all its tasks are in. */
export type CompletedBatch = Batch & { readonly stream: string; readonly output: string }

/** What a transformation or an output that runs on the driver is told about the batch. */
export type BatchContext = {
  readonly stream: string
  readonly id: number
  readonly batchTime: number
  readonly epoch: number
  readonly ranges: readonly OffsetRange[]
}

/** Which rows are asked for: those whose fields have these values, or numbers of these ranges (half-open). */
export type ReadBackQuery = {
  readonly where?: Readonly<Record<string, string | number | { readonly from: number; readonly until: number }>>
  readonly signal: AbortSignal
}

/**
 * Where rows go. `write` is called once an attempt of a task; `rows` are lazy, so a task found applied fetches nothing.
 * A refused task never resolves: it throws, or its driver would commit a batch whose rows are nowhere.
 */
export interface Sink<in Row> {
  /** Kind and target, such as `postgres:orders`: the output's name unless the job gives one. */
  readonly name: string
  readonly guarantee: Guarantee
  readonly ordering: Ordering
  /**
   * Whether two attempts of a task may run side by side, and the destination still has its rows once: a straggler may then be given to a second executor.
   * @default false
   */
  readonly allowsTwins?: boolean
  /** Where it writes to, without secrets: hosts, database, directory. An executor whose job writes elsewhere is given nothing. */
  readonly target?: string
  /** @default derived from the guarantee: an output that is not idempotent is taken to hold its rows twice */
  readonly rewritten?: Rewritten
  /** On the driver, once a start: makes or checks the ledger, the folder, the rights. */
  prepare?(context: SinkContext): Promise<void>
  /** On each executor, once. */
  open?(context: SinkContext): Promise<void>
  /** On the driver, before each batch's tasks: raises the fence and is a barrier for older attempts. */
  fence?(mark: FenceMark): Promise<void>
  /** Whether the destination already has all of this task; then it is not read again. */
  applied?(task: Task): Promise<boolean>
  /**
   * Resolves only when all rows of the task are in for good. A `RecordError` with `row` (from 1, in the task) and `output` in its details is given the
   * offset of the record by the task runner.
   *
   * That rows are drawn is seen; a sink that takes long over those it has in hand calls `onProgress` whenever some are in, or it looks stuck.
   */
  write(
    task: Task,
    rows: AsyncIterable<readonly Row[]>,
    context: { readonly signal: AbortSignal; readonly log: Log; readonly onProgress?: (() => void) | undefined },
  ): Promise<void>
  /** On the driver, when every task of the batch is in and before the store's commit. Idempotent. */
  commitBatch?(batch: CompletedBatch): Promise<void>
  close?(): Promise<void>
  /**
   * Gives rows that are in, as plain data and in no order, to those who read dead letters again (`tidemark deadletters`). Only rows that count: of whole
   * transactions, of committed batches. It may give more than `where` asks for. Called without `open`, on an output that may be at work.
   */
  readBack?(query: ReadBackQuery): AsyncIterable<readonly unknown[]>
  /**
   * The same output for a run of the job under another name (a replay), where the destination does not keep streams apart by itself: a directory
   * beside this one, for example. A sink with a ledger by stream needs none.
   */
  forStream?(stream: string): Sink<Row>
}
