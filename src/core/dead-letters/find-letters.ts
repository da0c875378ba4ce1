import { type OnSkip, type RecordOrigins, RowPipeline, type RowStage } from '../row-pipeline.ts'
import type { RangeContext, RunnableOutput, Stage } from '../runnable-job.ts'
import type { DeadLetter } from './dead-letter.ts'
import { arrangeLetters, type LostRecord } from './letter-tap.ts'

type Rows = AsyncIterable<readonly unknown[]>

/**
 * Works the letters of records out by running the outputs' stages on them, without their sinks: for an attempt that has only the letters to bring, and
 * for outputs that take no part any more. Stages behind a `mapRange` are left out, for its rows are of no one record, and their failures are no letters.
 */
export async function* findLetters(
  rows: Rows,
  outputs: readonly RunnableOutput[],
  context: RangeContext,
  onProgress?: () => void,
): AsyncGenerator<readonly DeadLetter[]> {
  let lost: LostRecord[] = []
  const ways = outputs.map(({ name, stages }) => ({ name, stages: perRow(stages) }))
  const tree = new StageTree(ways, 0, { context, onLost: one => lost.push(one), origins: new WeakMap(), onProgress })
  const names = outputs.map(({ name }) => name)
  for await (const array of rows) {
    await tree.run(array)
    if (lost.length === 0) continue
    const found = lost
    lost = []
    yield arrangeLetters(array, found, names, context)
  }
}

function perRow(stages: readonly Stage[]): RowStage[] {
  const found: RowStage[] = []
  for (const stage of stages) {
    if (stage.kind === 'mapRange') break
    found.push(stage)
  }
  return found
}

/** What all stages of a tree have in common. */
type Walk = {
  readonly context: RangeContext
  readonly onLost: (lost: LostRecord) => void
  readonly origins: RecordOrigins
  readonly onProgress: (() => void) | undefined
}

type Way = { readonly name: string; readonly stages: readonly RowStage[] }

/** Stages that outputs have in common, and where they part: what a shared stage fails on is lost to all behind it, once. */
class StageTree {
  readonly #pipeline: RowPipeline
  readonly #forks: readonly StageTree[]

  constructor(ways: readonly Way[], depth: number, walk: Walk) {
    const { context, onLost, origins, onProgress } = walk
    const first = ways[0]?.stages ?? []
    let end = depth
    while (end < first.length && ways.every(({ stages }) => stages[end] === first[end])) end++
    const names = ways.map(({ name }) => name)
    const onSkip: OnSkip = (error, record, stage) => onLost({ record, error, stage, outputs: names })
    const going = ways.filter(({ stages }) => stages.length > end)
    this.#forks = [...Map.groupBy(going, ({ stages }) => stages[end]).values()].map(fork => new StageTree(fork, end, walk))
    const about = { isOfSource: depth === 0, records: origins, willFork: this.#forks.length > 0 }
    this.#pipeline = new RowPipeline(first.slice(depth, end), context, onSkip, about, onProgress)
  }

  async run(rows: readonly unknown[]): Promise<void> {
    const out: unknown[] = []
    await this.#pipeline.run(rows, out)
    for (const fork of this.#forks) await fork.run(out)
  }
}
