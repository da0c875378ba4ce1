import { errorFromWire, errorToWire, type WireError } from './error-wire.ts'
import { TaskFailedError, UnsupportedError } from './errors.ts'
import type { TaskGroup, TaskResult } from './executor.ts'
import { rowsFromWire, rowsToWire } from './rows-wire.ts'
import type { OffsetRange, Task } from './values.ts'

/**
 * The version of everything in this file. A message of another one is refused: driver and executors must be of the same.
 * 2: a result may be of a task that is not in; groups say more about what becomes of records.
 */
export const WIRE_VERSION = 2

/** Groups of one batch as plain JSON: what they have in common is said once, for a batch may have ten thousand of them. */
export type WireGroups = {
  readonly v: typeof WIRE_VERSION
  readonly stream: string
  readonly batchId: number
  readonly epoch: number
  readonly batchTime: number
  /** What is alike in most groups. */
  readonly kinds: readonly WireKind[]
  /** Topics with their ids. */
  readonly topics: readonly (readonly [topic: string, topicId: string | null])[]
  readonly groups: readonly WireGroup[]
}

type WireKind = Omit<TaskGroup, 'range' | 'tasks' | 'estimatedBytes'> & { readonly outputs: readonly string[] }

/** Kind and topic are places in their lists; a leader epoch that nobody knows is −1. */
type WireGroup = readonly [
  kind: number,
  topic: number,
  partition: number,
  fromOffset: number,
  untilOffset: number,
  leaderEpoch: number,
  index: number,
  attempt: string,
]

/** What a task reports, without the task itself: its driver has that. Whether it was applied already is 1 or 0; most have no more than six numbers. */
export type WireResult<Gathered = Uint8Array> = readonly [
  alreadyApplied: 0 | 1,
  records: number,
  rows: number,
  bytes: number,
  startTime: number,
  endTime: number,
  more?: Pick<TaskResult, 'skipped' | 'losses' | 'outsideTime'> & { readonly gathered?: Gathered; readonly error?: WireError },
]

/**
 * Puts groups into one message. They must be of one batch, and each group's tasks of one range and attempt, as the dispatcher makes them.
 */
export function groupsToWire(groups: readonly TaskGroup[]): WireGroups {
  const [first] = groups[0]?.tasks ?? []
  if (first === undefined) throw new TaskFailedError('A message without tasks was to be sent to an executor.')
  const kinds = new Places<WireKind>()
  const topics = new Places<readonly [string, string | null]>()
  const { stream, batchId, epoch, batchTime } = first
  let last: TaskGroup | undefined
  let kindAt = 0
  let topicAt = 0
  const packed = groups.map((group): WireGroup => {
    const { range, tasks } = group
    const [task] = tasks
    const isAlike = (other: Task) =>
      other.stream === stream &&
      other.batchId === batchId &&
      other.epoch === epoch &&
      other.batchTime === batchTime &&
      other.index === task?.index &&
      other.attempt === task.attempt
    if (task === undefined || !tasks.every(isAlike)) throw new TaskFailedError('Groups of several batches were to be sent as one message.')
    if (last === undefined || !isSameKind(group, last)) kindAt = kinds.placeOf(kindOf(group))
    if (last?.range.topic !== range.topic || last.range.topicId !== range.topicId)
      topicAt = topics.placeOf([range.topic, range.topicId ?? null])
    last = group
    const { partition, fromOffset, untilOffset, leaderEpoch = -1 } = range
    return [kindAt, topicAt, partition, fromOffset, untilOffset, leaderEpoch, task.index, task.attempt]
  })
  return { v: WIRE_VERSION, stream, batchId, epoch, batchTime, kinds: kinds.items, topics: topics.items, groups: packed }
}

/** The groups again, in their order. Throws `UnsupportedError` for a message of another version. */
export function groupsFromWire(wire: WireGroups): TaskGroup[] {
  checkWireVersion(wire?.v)
  const { stream, batchId, epoch, batchTime } = wire
  if (![wire.groups, wire.kinds, wire.topics].every(Array.isArray)) throw damaged('a list is missing')
  return wire.groups.map(([kindAt, topicAt, partition, fromOffset, untilOffset, leaderEpoch, index, attempt]) => {
    const kind = wire.kinds[kindAt]
    const topic = wire.topics[topicAt]
    if (kind === undefined || topic === undefined) throw damaged('it names what it does not have')
    const { outputs, ...rest } = kind
    const range: OffsetRange = {
      ...{ topic: topic[0], partition, fromOffset, untilOffset },
      ...(topic[1] !== null && { topicId: topic[1] }),
      ...(leaderEpoch >= 0 && { leaderEpoch }),
    }
    return { ...rest, range, tasks: outputs.map(output => ({ stream, batchId, epoch, index, range, batchTime, output, attempt })) }
  })
}

function damaged(how: string): TaskFailedError {
  return new TaskFailedError(`A message to an executor is damaged: ${how}. Was it made by another program, or cut on its way?`)
}

function checkWireVersion(version: unknown): void {
  if (version === WIRE_VERSION) return
  throw new UnsupportedError(
    `A message of version ${String(version)} came from a driver; this executor reads version ${WIRE_VERSION}. Run the same version of tidemark on both.`,
  )
}

/** Results without their tasks, and gathered rows as bytes. */
export function resultsToWire(results: readonly TaskResult[]): WireResult[] {
  return results.map((result): WireResult => {
    const { task, alreadyApplied, records, rows, bytes, startTime, endTime, skipped, losses, outsideTime, gathered } = result
    const numbers = [alreadyApplied ? 1 : 0, records, rows, bytes, startTime, endTime] as const
    const hasFailed = 'error' in result
    const isPlain = skipped === undefined && losses === undefined && outsideTime === undefined && gathered === undefined && !hasFailed
    if (isPlain) return numbers
    const more = {
      ...(hasFailed && { error: errorToWire(result.error) }),
      ...(skipped !== undefined && { skipped }),
      ...(losses !== undefined && { losses }),
      ...(outsideTime !== undefined && { outsideTime }),
      ...(gathered !== undefined && { gathered: rowsToWire(gathered, task.output) }),
    }
    return [...numbers, more]
  })
}

/** The results of a group's tasks, which come in their order. */
export function resultsFromWire(group: TaskGroup, results: readonly WireResult[]): TaskResult[] {
  if (results.length !== group.tasks.length) {
    throw new TaskFailedError(`An executor gave ${results.length} results for the ${group.tasks.length} tasks of a range.`)
  }
  return group.tasks.map((task, at) => {
    const [applied, records, rows, bytes, startTime, endTime, more] = results[at] as WireResult
    const numbers = { task, alreadyApplied: applied === 1, records, rows, bytes, startTime, endTime }
    if (more === undefined) return numbers
    const { gathered, error, ...left } = more
    return {
      ...{ ...numbers, ...left },
      ...(gathered !== undefined && { gathered: rowsFromWire(gathered) }),
      ...(error !== undefined && { error: errorFromWire(error) }),
    }
  })
}

function kindOf({ range: _range, tasks, estimatedBytes: _bytes, ...kind }: TaskGroup): WireKind {
  return { ...kind, outputs: tasks.map(({ output }) => output) }
}

/** Whether two groups are of one kind at first sight, as those of one batch are: they share their policy. So not each kind must be written down to be found. */
function isSameKind(a: TaskGroup, b: TaskGroup): boolean {
  return (
    a.onDataLoss === b.onDataLoss &&
    a.isolation === b.isolation &&
    a.timeoutMs === b.timeoutMs &&
    a.timestamps === b.timestamps &&
    a.onRecordError === b.onRecordError &&
    a.maxOutputWaitMs === b.maxOutputWaitMs &&
    (a.watched === b.watched || isSameList(a.watched ?? [], b.watched ?? [])) &&
    a.tasks.length === b.tasks.length &&
    a.tasks.every(({ output }, at) => output === b.tasks[at]?.output)
  )
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, at) => item === b[at])
}

/** A list in which what is alike stands once. */
class Places<T> {
  readonly items: T[] = []
  readonly #places = new Map<string, number>()

  placeOf(item: T): number {
    const key = JSON.stringify(item)
    let place = this.#places.get(key)
    if (place === undefined) {
      place = this.items.push(item) - 1
      this.#places.set(key, place)
    }
    return place
  }
}
