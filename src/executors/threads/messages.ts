import type { MessagePort } from 'node:worker_threads'
import type { WireError } from '../../core/error-wire.ts'
import type { JobFingerprint } from '../../core/job-fingerprint.ts'
import type { Log } from '../../core/log.ts'
import type { WireGroups, WireResult } from '../../core/task-wire.ts'

/** What a thread needs to have the same run of the same job. Plain data. */
export type RunDescriptor = {
  /** The URL of the module that exports the job. */
  readonly module: string
  /** The job's own name. */
  readonly job: string
  /** The run's name, which is another in a replay. */
  readonly stream: string
  readonly outputs: readonly string[]
  readonly streamId: string
  /** Of the job as the driver has it. */
  readonly fingerprint: JobFingerprint
  /** Groups at a time in one thread. */
  readonly concurrency: number
}

/** The task of the pool that lasts as long as its thread. */
export type SessionTask = { readonly descriptor: RunDescriptor; readonly port: MessagePort }

/** Groups that go over together. The group at place `n` has the id `firstId + n`, and its cell on the board at that place. */
export type PackMessage = {
  readonly kind: 'pack'
  readonly groups: WireGroups
  readonly firstId: number
  /** Names the signal that all of them are cancelled by. */
  readonly signalId: number
  /** Shared memory: see {@link Board}. */
  readonly board: Int32Array
}

/** What a driver's thread says to a worker. */
export type ToWorker =
  | PackMessage
  | { readonly kind: 'abort'; readonly signalId: number; readonly reason: WireError }
  /** The run is over, however it ends. */
  | { readonly kind: 'over'; readonly reason: WireError }
  /** Close sources and sinks, then end the session. */
  | { readonly kind: 'close' }

export type LogLevel = keyof Log

export type LogCall = { readonly level: LogLevel; readonly fields: unknown; readonly message: string | undefined }

/** Why a worker says that it ends: a call of `process.exit`, or an error that nothing caught. */
export type LastWords = { readonly exitCode: number } | { readonly uncaught: WireError }

/** What a worker says, everything of one turn of its event loop together. */
export type FromWorker = {
  /** Its job is there and its sinks are open. */
  readonly opened?: true
  /** It could not open, and is of no use. */
  readonly failed?: WireError
  readonly lastWords?: LastWords
  readonly logs?: readonly LogCall[]
  /** See {@link PlainResults}. */
  readonly plain?: Float64Array
  /** Results that have more than numbers. */
  readonly results?: readonly (readonly [id: number, results: readonly WireResult[]])[]
  readonly errors?: readonly (readonly [id: number, error: WireError])[]
}
