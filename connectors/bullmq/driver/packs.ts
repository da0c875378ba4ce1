import { JobError } from '../../../src/core/errors.ts'
import type { RunOptions, TaskGroup, TaskResult } from '../../../src/core/executor.ts'
import type { JobFingerprint } from '../../../src/core/job-fingerprint.ts'
import { groupsToWire } from '../../../src/core/task-wire.ts'
import { showRange } from '../../../src/core/values.ts'
import { BULLMQ_VERSION, type PackMessage } from '../messages.ts'

/** A group that somebody waits for. */
export type Work = {
  readonly group: TaskGroup
  readonly options: RunOptions
  /** When it was asked for, by the monotonic clock, ms. */
  readonly since: number
  readonly resolve: (results: readonly TaskResult[]) => void
  readonly reject: (error: unknown) => void
  /** In how many packs it has been. */
  attempts: number
  /** How many executors died under it. */
  deaths: number
  /** Packs whose report counts: the newest, and its twin. */
  packs: readonly Pack[]
  isSettled: boolean
}

/** Groups that were sent to an executor as one job of its queue. */
export type Pack = {
  /** Never used twice: BullMQ ignores the add of an id that it knows. */
  readonly id: string
  readonly executor: string
  readonly works: readonly Work[]
  readonly message: PackMessage
  /** What it is the second attempt of, side by side. */
  readonly twinOf: Pack | undefined
  twin: Pack | undefined
  /** When it was sent, by the monotonic clock, ms. */
  readonly sentAt: number
  /** When it was first seen at work, by the monotonic clock, ms; a short one may end before anybody has. */
  startedAt: number | undefined
  /** Resolves when the add was answered, or failed; before that nobody can say that Redis does not have it. */
  added: Promise<void>
  isAdded: boolean
  /** Its executor was told to end it: what it gives counts, what it failed with does not. */
  isCancelled: boolean
  /** How often Redis had been away when it was sent. */
  readonly outages: number
}

/** What is alike in all packs of a run. */
export type PackFrame = {
  readonly streamId: string
  readonly outputs: readonly string[]
  readonly fingerprint: JobFingerprint
  readonly maxMessageBytes: number
}

/** Works with the message that carries them, or works that no message can. */
export type MadeMessages = {
  readonly messages: readonly { readonly works: readonly Work[]; readonly message: PackMessage }[]
  readonly refused: readonly { readonly work: Work; readonly error: JobError }[]
}

/**
 * Puts works into one message, or into several where one would be larger than is allowed. Their attempts count up: no two attempts of a task share a name,
 * by which destinations tell a straggler from the one that took its place.
 */
export function makeMessages(works: readonly Work[], frame: PackFrame): MadeMessages {
  for (const work of works) work.attempts += 1
  return fitInto(works, frame)
}

function fitInto(works: readonly Work[], frame: PackFrame): MadeMessages {
  const { streamId, outputs, fingerprint, maxMessageBytes } = frame
  const message: PackMessage = { v: BULLMQ_VERSION, streamId, outputs, fingerprint, groups: groupsToWire(works.map(nameAttempt)) }
  const bytes = sizeOf(message, maxMessageBytes)
  if (bytes <= maxMessageBytes) return { messages: [{ works, message }], refused: [] }
  const [work] = works
  if (works.length === 1 && work !== undefined) return { messages: [], refused: [{ work, error: tooLarge(work, bytes, maxMessageBytes) }] }
  const half = Math.ceil(works.length / 2)
  const parts = [works.slice(0, half), works.slice(half)].map(part => fitInto(part, frame))
  return { messages: parts.flatMap(({ messages }) => messages), refused: parts.flatMap(({ refused }) => refused) }
}

/** The numbers of a group and what parts them, bytes: none has more. */
const NUMBERS_BYTES = 130

/** Exactly where it may be too large, else at most: a message is written once more when it is sent. */
function sizeOf({ groups: wire, ...rest }: PackMessage, maxBytes: number): number {
  const { groups, ...common } = wire
  const attempts = groups.reduce((sum, [, , , , , , , attempt]) => sum + attempt.length, 0)
  const most = Buffer.byteLength(JSON.stringify([rest, common])) + attempts + groups.length * NUMBERS_BYTES
  return most <= maxBytes ? most : Buffer.byteLength(JSON.stringify({ ...rest, groups: wire }))
}

/** The first attempt is the dispatcher's own. */
function nameAttempt({ group, attempts }: Work): TaskGroup {
  if (attempts === 1) return group
  return { ...group, tasks: group.tasks.map(task => ({ ...task, attempt: `${task.attempt}-r${attempts}` })) }
}

function tooLarge({ group }: Work, bytes: number, maxMessageBytes: number): JobError {
  return new JobError(
    `Task ${showRange(group.range)} takes ${bytes} bytes as a message to an executor, and maxMessageBytes is ${maxMessageBytes}. Raise it with ` +
      'bullmq({ maxMessageBytes }); names of outputs and what the job points at are in every message.',
    { details: { ...group.range, bytes, maxMessageBytes } },
  )
}
