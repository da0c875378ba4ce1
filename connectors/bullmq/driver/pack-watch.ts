import type { ExecutorInfo } from '../messages.ts'
import { FreeSlots, movablePacks } from './balance.ts'
import type { After } from './open-packs.ts'
import type { PackState, QueueLoad } from './pack-scripts.ts'
import type { PackSender } from './pack-sender.ts'
import type { Pack } from './packs.ts'
import { batchOf, type RunParts, type RunState } from './run-parts.ts'

export type WatchHooks = {
  readonly onReport: (pack: string, report: unknown) => void
  readonly onFailed: (pack: string, reason: string) => void
  readonly onOver: (after: After) => void
  readonly lookSoon: () => void
}

type Seen = { readonly pack: Pack; readonly state: PackState }

/** Looks at what was sent: takes reports whose events were lost, gives out again what nobody works on, and evens out who has what. */
export class PackWatch {
  readonly #parts: RunParts
  readonly #state: RunState
  readonly #sender: PackSender
  readonly #hooks: WatchHooks
  /** Executors whose queues were searched for what an earlier driver has left. */
  readonly #swept = new Set<string>()

  constructor(parts: RunParts, state: RunState, sender: PackSender, hooks: WatchHooks) {
    this.#parts = parts
    this.#state = state
    this.#sender = sender
    this.#hooks = hooks
  }

  async look(): Promise<void> {
    const { scripts, executors } = this.#parts
    const packs = this.#state.open.all().filter(({ isAdded }) => isAdded)
    const { ready } = executors
    const ids = ready.map(({ id }) => id)
    const states = await scripts.look(packs, ids)
    const seen = packs.map((pack, at): Seen => ({ pack, state: states.packs[at] ?? { state: 'gone' } }))
    const loads = new Map(ids.map((id, at) => [id, states.loads[at] ?? { waiting: 0, active: 0 }]))
    await this.#judge(seen)
    await this.#balance(seen, ready, loads)
  }

  /** What an earlier driver of the stream has left would take slots, and time of ours, for tasks that destinations refuse. */
  async sweep(epoch: number): Promise<void> {
    const { scripts, executors, job, nonce, context } = this.#parts
    const ids = executors.ready.map(({ id }) => id).filter(id => !this.#swept.has(id))
    if (ids.length === 0) return
    const working = await scripts.sweep({ stream: job.stream, epoch, nonce }, ids)
    for (const id of ids) this.#swept.add(id)
    if (working.length === 0) return
    for (const id of working) this.#state.cancelled.add(id)
    context.log.info({ packs: working }, `cancelled ${working.length} packs of an earlier driver of ${job.stream}`)
    this.#hooks.lookSoon()
  }

  async #judge(seen: readonly Seen[]): Promise<void> {
    const stuck: Pack[] = []
    for (const { pack, state } of seen) {
      // Its event came while we looked.
      if (!this.#state.open.has(pack)) continue
      const { id, executor } = pack
      const standing = this.#parts.executors.standing(executor)?.state
      switch (state.state) {
        case 'completed':
          this.#hooks.onReport(id, state.report)
          break
        case 'failed':
          this.#hooks.onFailed(id, state.reason)
          break
        case 'gone':
          this.#lose(pack, { died: false, why: 'Redis has it no more' })
          break
        case 'waiting':
          if (standing !== 'ready' || pack.isCancelled) stuck.push(pack)
          break
        case 'running':
          pack.startedAt ??= performance.now()
          // Its executor renews its lock while it moves, and no longer.
          for (const { options } of pack.works) options.onProgress?.()
          if (standing === 'silent') this.#lose(pack, { died: true, why: `executor ${executor} is silent` })
          break
        case 'orphaned':
          // One that left did so by itself: the dead are listed for a minute.
          this.#lose(pack, { died: standing !== undefined && standing !== 'draining', why: `executor ${executor} holds it no more` })
          break
        default:
          state satisfies never
      }
    }
    for (const pack of await this.#parts.scripts.takeBack(stuck)) this.#hooks.onOver(this.#state.open.lose(pack))
  }

  /** An outage of Redis ends locks too, and no executor died of it. */
  #lose(pack: Pack, { died, why }: { readonly died: boolean; readonly why: string }): void {
    const { id, executor, works, outages } = pack
    this.#parts.context.log.warn({ pack: id, executor, groups: works.length }, `pack ${id} goes out again: ${why}`)
    this.#state.cancelled.add(id)
    this.#state.over.push(pack)
    this.#hooks.lookSoon()
    this.#hooks.onOver(this.#state.open.lose(pack, { died: died && outages === this.#state.outage.count }))
  }

  /** Gives free slots what waits elsewhere, and the last of a batch a second attempt. */
  async #balance(seen: readonly Seen[], ready: readonly ExecutorInfo[], loads: ReadonlyMap<string, QueueLoad>): Promise<void> {
    const free = new FreeSlots(ready, loads)
    if (!free.any) return
    const open = seen.filter(({ pack }) => this.#state.open.has(pack) && !pack.isCancelled)
    const moving = new Map<Pack, string>()
    const waiting = open.filter(({ state }) => state.state === 'waiting').map(({ pack }) => pack)
    for (const pack of movablePacks(waiting, ready, loads)) {
      const to = free.take(pack.executor)
      if (to === undefined) break
      moving.set(pack, to)
    }
    for (const pack of await this.#parts.scripts.takeBack([...moving.keys()])) {
      const { again } = this.#state.open.lose(pack)
      if (again.length > 0) this.#sender.send(moving.get(pack) ?? pack.executor, [again])
    }
    const running = open.filter(({ state }) => state.state === 'running').map(({ pack }) => pack)
    if (this.#parts.stragglers === 'twin') this.#twinStragglers(running, free)
  }

  #twinStragglers(running: readonly Pack[], free: FreeSlots): void {
    const now = performance.now()
    const first = this.#state.open.all().filter(({ twinOf }) => twinOf === undefined)
    const open = Map.groupBy(first, ({ works }) => batchOf(works[0]))
    for (const pack of running) {
      const { id, startedAt, works, executor, twin, twinOf } = pack
      if (startedAt === undefined || twin || twinOf || !this.#state.open.has(pack)) continue
      const batch = batchOf(works[0])
      const slowAfterMs = this.#state.pace.slowAfterMs(batch, open.get(batch)?.length ?? 0)
      if (slowAfterMs === undefined || now - startedAt < slowAfterMs || !this.#allowsTwin(pack)) continue
      const left = works.filter(({ isSettled }) => !isSettled)
      if (left.length === 0) continue
      const to = free.take(executor)
      if (to === undefined) return
      const fields = { pack: id, executor, twin: to, runningMs: Math.round(now - startedAt) }
      this.#parts.context.log.info(fields, `pack ${id} is slow on executor ${executor} and goes to ${to} too; the first to end counts`)
      this.#sender.send(to, [left], pack)
    }
  }

  #allowsTwin({ works }: Pack): boolean {
    const { outputs } = this.#parts.job
    return works.every(({ group }) => group.tasks.every(({ output }) => outputs.get(output)?.sink.allowsTwins === true))
  }
}
