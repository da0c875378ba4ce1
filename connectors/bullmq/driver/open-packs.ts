import { errorFromWire } from '../../../src/core/error-wire.ts'
import { TaskFailedError } from '../../../src/core/errors.ts'
import type { TaskResult } from '../../../src/core/executor.ts'
import { resultsFromWire } from '../../../src/core/task-wire.ts'
import { showRange } from '../../../src/core/values.ts'
import { type GroupReport, readReported } from '../messages.ts'
import type { Pack, Work } from './packs.ts'

/** A group under which so many executors died, or that so many left because it stood still, is taken to be the reason. */
const MAX_DEATHS = 5

const NO_PACKS: readonly Pack[] = []

/** What is to be done when a pack is over. */
export type After = {
  /** Works that have no attempt left and go out again. */
  readonly again: readonly Work[]
  /** Packs that nobody waits for any more. */
  readonly moot: readonly Pack[]
}

/**
 * What was sent and is waited for. It decides what counts: of a group only its newest attempt and that one's twin. A report of any other attempt, an
 * executor's that was taken for dead and woke up, finds no pack here.
 */
export class OpenPacks {
  readonly #packs = new Map<string, Pack>()
  /** Groups that nobody has settled, sent or not. */
  readonly works = new Set<Work>()
  readonly #onIdle: (() => void)[] = []
  readonly #onSettled: (work: Work) => void

  /** `onSettled` is told of each group that has its results or its error. */
  constructor(onSettled: (work: Work) => void) {
    this.#onSettled = onSettled
  }

  get(id: string): Pack | undefined {
    return this.#packs.get(id)
  }

  all(): Pack[] {
    return [...this.#packs.values()]
  }

  has(pack: Pack): boolean {
    return this.#packs.get(pack.id) === pack
  }

  open(pack: Pack): void {
    this.#packs.set(pack.id, pack)
    const alone = [pack]
    for (const work of pack.works) work.packs = pack.twinOf === undefined ? alone : [...work.packs, pack]
    if (pack.twinOf !== undefined) pack.twinOf.twin = pack
  }

  /** Closes packs whose groups were all settled otherwise, and gives them. */
  dropSettled(): Pack[] {
    const settled = this.all().filter(({ works }) => works.every(({ isSettled }) => isSettled))
    for (const { id } of settled) this.#packs.delete(id)
    return settled
  }

  /** Resolves when every group is settled. */
  idle(): Promise<void> {
    if (this.works.size === 0) return Promise.resolve()
    return new Promise(resolve => this.#onIdle.push(resolve))
  }

  /** A pack ended, and its executor says what became of each of its groups. */
  report(pack: Pack, reports: readonly GroupReport[]): After {
    return this.#end(pack, (work, at) => {
      const report = reports[at]
      if (report === undefined) return
      if ('error' in report) {
        // Of one that was told to end, it is only that; and while the twin runs, it may yet be well.
        if (!pack.isCancelled && work.packs.length === 0) this.fail(work, errorFromWire(report.error))
        return
      }
      const results = readResults(work, report)
      if (results instanceof Error) this.fail(work, results)
      // Of one that failed beside others, too.
      else if (work.packs.length > 0 && results.some(result => 'error' in result)) return
      else if (this.#settle(work)) work.resolve(results)
    })
  }

  /** A pack is lost, or was taken back. Where its executor died under it, its groups remember that. */
  lose(pack: Pack, { died = false }: { readonly died?: boolean } = {}): After {
    return this.#end(pack, work => {
      if (!died) return
      work.deaths += 1
      if (work.deaths >= MAX_DEATHS && work.packs.length === 0) this.fail(work, diedTooOften(work, pack))
    })
  }

  fail(work: Work, error: unknown): void {
    if (this.#settle(work)) work.reject(error)
  }

  #end(pack: Pack, judge: (work: Work, at: number) => void): After {
    if (!this.has(pack)) return { again: [], moot: [] }
    this.#packs.delete(pack.id)
    const again: Work[] = []
    const others = new Set<Pack>()
    for (const [at, work] of pack.works.entries()) {
      const counts = !work.isSettled && work.packs.includes(pack)
      if (counts) {
        work.packs = work.packs.length === 1 ? NO_PACKS : work.packs.filter(other => other !== pack)
        judge(work, at)
      }
      if (work.packs.length > 0) for (const other of work.packs) others.add(other)
      else if (!counts || work.isSettled) continue
      else if (work.options.signal.aborted) this.fail(work, work.options.signal.reason)
      else again.push(work)
    }
    const moot = [...others].filter(other => other.works.every(({ isSettled }) => isSettled))
    for (const other of moot) this.#packs.delete(other.id)
    return { again, moot }
  }

  /** Whether nobody had settled it before. */
  #settle(work: Work): boolean {
    if (work.isSettled) return false
    work.isSettled = true
    this.works.delete(work)
    if (this.works.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve()
    this.#onSettled(work)
    return true
  }
}

/** Results that do not fit their tasks are an error of that group alone. */
function readResults({ group }: Work, { results }: Extract<GroupReport, { results: unknown }>): TaskResult[] | Error {
  try {
    return resultsFromWire(group, readReported(results))
  } catch (error) {
    return error instanceof Error ? error : new TaskFailedError(String(error))
  }
}

function diedTooOften({ group, deaths }: Work, { executor }: Pack): TaskFailedError {
  const batchId = group.tasks[0]?.batchId
  return new TaskFailedError(
    `Task ${showRange(group.range)} of batch ${batchId} was lost with ${deaths} executors, ${executor} the last, and is not given to another. Their logs say ` +
      'whether they ended (memory, which limits.maxRecordsPerTask lowers; a native module; process.exit) or left it because it stood still (stallMs).',
    { details: { ...group.range, batchId, deaths, executor } },
  )
}
