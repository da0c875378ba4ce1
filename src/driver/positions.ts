import type { TaskLoss } from '../core/executor.ts'
import type { Lease } from '../core/offset-store.ts'
import type { CallOptions } from '../core/source.ts'
import { positionsAfter } from '../core/store-rules.ts'
import { type Batch, type OffsetRange, type PartitionOffset, partitionKey, type TopicPartition } from '../core/values.ts'
import type { DriverJob } from './driver-job.ts'
import type { EventBus } from './event-bus.ts'
import type { Planner } from './planner.ts'
import { resolveStartingPoints } from './starting-points.ts'
import { untold } from './untold.ts'

/** What of a job its positions need. */
export type PositionsJob = Pick<DriverJob, 'store'> & { readonly options: Pick<DriverJob['options'], 'onDataLoss'> }

/**
 * How far the stream has committed, partition by partition, and every way it moves but by a commit: starting points, and records that are gone.
 * Each move is in the store before it counts here.
 */
export class Positions {
  readonly #job: PositionsJob
  readonly #lease: Lease
  readonly #planner: Planner
  readonly #bus: EventBus
  readonly #signal: AbortSignal
  readonly #onMoved: (positions: readonly PartitionOffset[]) => void
  readonly #committed = new Map<string, PartitionOffset>()
  /** From the first planning on, topics that a pattern finds are new ones. */
  #hasPlanned = false

  /** `onMoved` hears of every position that was taken over from the store or written into it. */
  constructor(
    job: PositionsJob,
    lease: Lease,
    planner: Planner,
    bus: EventBus,
    signal: AbortSignal,
    onMoved: (positions: readonly PartitionOffset[]) => void,
  ) {
    this.#job = job
    this.#lease = lease
    this.#planner = planner
    this.#bus = bus
    this.#signal = signal
    this.#onMoved = onMoved
  }

  get committed(): ReadonlyMap<string, PartitionOffset> {
    return this.#committed
  }

  /** Takes over what the store says. */
  load(offsets: readonly PartitionOffset[]): void {
    for (const position of offsets) this.#committed.set(partitionKey(position), position)
    if (offsets.length > 0) this.#onMoved(offsets)
  }

  /** Takes over a batch that is committed. */
  advance({ ranges }: Batch): void {
    this.load(positionsAfter(ranges))
  }

  /**
   * Makes the positions fit to plan from: new partitions begin, and lost records are passed or end the run. Whoever plans looks first.
   *
   * @throws DataLossError of the first loss that is not to be skipped
   */
  async settle(options: { readonly signal: AbortSignal }): Promise<void> {
    await this.#startPartitions(options)
    await this.#passLosses(options)
    this.#hasPlanned = true
  }

  /**
   * Writes starting points before anything is read. Otherwise: `latest`, a partition that stays idle, a restart, and what was written in
   * between is skipped.
   */
  async #startPartitions(options: CallOptions): Promise<void> {
    const fresh = this.#planner.withoutOffset(this.#committed)
    if (fresh.size === 0) return
    const topics = new Set(Array.from(this.#committed.values(), position => position.topic))
    const points: PartitionOffset[] = []
    for (const [source, partitions] of fresh) {
      const known = { topics, hasStarted: this.#planner.hasStarted(source, topics), isRunning: this.#hasPlanned }
      points.push(...(await resolveStartingPoints(source, partitions, known, options)))
    }
    if (points.length === 0) return
    await this.#move('start', points)
    this.#bus.emit({ type: 'partitionsStarted', offsets: points })
  }

  /**
   * Records that are gone: stops, or where the policy says so writes into the store where each partition goes on, before anything is planned
   * from there, so that `begin` never sees a gap. `told` is what tasks have met and told of already.
   */
  async #passLosses(options: CallOptions, told: readonly TaskLoss[] = []): Promise<void> {
    const losses = await this.#planner.findLosses(this.#committed, options)
    for (const { error } of losses) if (this.#job.options.onDataLoss[error.lossCause] === 'fail') throw error
    for (const loss of losses) {
      const { lossCause: cause, message, resumeAt } = loss.error
      await this.#move(cause, 'resume' in loss ? [loss.resume] : [], 'forget' in loss ? [loss.forget] : [])
      this.#planner.passLoss(loss)
      const missing = untold(loss.error, told)
      if (missing === undefined) continue
      this.#bus.emit({ type: 'dataLoss', cause, message, missing, ...(resumeAt !== undefined && { resumeAt }) })
    }
  }

  /**
   * Moves partitions of which a task met lost records: the batch is committed as it was planned, and only now may they go elsewhere. Also where
   * none has to move, the history has what was lost.
   */
  async passTaskLosses(losses: readonly TaskLoss[]): Promise<void> {
    const options = { signal: this.#signal }
    this.#planner.expectLosses()
    await this.#planner.look(options)
    await this.#passLosses(options, losses)
    const passed = new Map<string, PartitionOffset>()
    for (const { cause, missing, resumeAt = 0 } of losses) {
      const key = missing[0] === undefined ? '' : partitionKey(missing[0])
      const position = this.#committed.get(key)
      if (cause === 'retention' && position !== undefined && resumeAt <= position.offset) passed.set(key, position)
    }
    if (passed.size > 0) await this.#move('retention', [...passed.values()])
  }

  /** Sets partitions to where a batch of another stream began, which is to be run again here. */
  async moveTo(ranges: readonly OffsetRange[], reason: string): Promise<void> {
    const first = new Map<string, PartitionOffset>()
    for (const { fromOffset: offset, untilOffset: _, ...at } of ranges) {
      const key = partitionKey(at)
      if (!first.has(key)) first.set(key, { ...at, offset })
    }
    const moved = Array.from(first).filter(([key, { offset, topicId }]) => {
      const at = this.#committed.get(key)
      return at?.offset !== offset || at.topicId !== topicId
    })
    if (moved.length > 0)
      await this.#move(
        reason,
        Array.from(moved, ([, position]) => position),
      )
  }

  async #move(reason: string, offsets: readonly PartitionOffset[], forget: readonly TopicPartition[] = []): Promise<void> {
    await this.#job.store.reset(this.#lease, offsets, { reason, forget, signal: this.#signal })
    for (const at of forget) this.#committed.delete(partitionKey(at))
    this.load(offsets)
  }
}
