import { describe, expect, test } from 'vitest'
import { ConnectionError } from '../../../src/core/errors.ts'
import type { OffsetRange, Task } from '../../../src/core/values.ts'
import { CollectingSink } from '../../../src/testing/index.ts'
import { DriverWorld, endsOf, sizeOf } from './drive.ts'
import { type OffsetTable, readCases } from './read-cases.ts'

type Step = {
  readonly nowMs?: number
  readonly waitMs?: number
  readonly available?: OffsetTable
  readonly added?: OffsetTable
  readonly latest?: OffsetTable
  readonly expect: string
  readonly expectedEnd?: OffsetTable
}
type TriggerTable = {
  minAndComposite: {
    name: string
    minOffsetsPerTrigger: number
    maxTriggerDelayMs: number
    maxOffsetsPerTrigger: number | null
    steps: Step[]
  }[]
}

const TICK_MS = 100

describe('minRecordsPerBatch', () => {
  // A difference from Spark is that the first batch waits too; in both of its tables the first step has records enough.
  test.each(readCases<TriggerTable>('trigger-rate-limit').minAndComposite)('as in Spark: $name', async each => {
    const world = new DriverWorld({ t: 3 })
    const end: Record<string, number> = { 't-0': 0, 't-1': 0, 't-2': 0 }
    const grow = (table: OffsetTable, from: OffsetTable) => {
      for (const [name, offset] of Object.entries(table)) {
        const partition = Number(name.slice(2))
        world.append('t', partition, offset - (from[name] ?? 0))
        end[name] = offset
      }
    }
    const takeStep = ({ available, added, latest }: Step) => {
      if (added !== undefined)
        grow(Object.fromEntries(Object.entries(added).map(([name, count]) => [name, (end[name] ?? 0) + count])), { ...end })
      grow(available ?? latest ?? {}, { ...end })
    }
    const [first, ...others] = each.steps as [Step, ...Step[]]
    takeStep(first)
    const driver = await world.start({
      batchIntervalMs: TICK_MS,
      limits: {
        minRecordsPerBatch: each.minOffsetsPerTrigger,
        maxBatchDelayMs: each.maxTriggerDelayMs,
        ...(each.maxOffsetsPerTrigger !== null && { maxRecordsPerBatch: each.maxOffsetsPerTrigger }),
      },
    })
    const reached: Record<string, number> = { 't-0': 0, 't-1': 0, 't-2': 0 }
    let batches = 0
    const check = (step: Step) => {
      if (step.expect.startsWith('run')) batches += 1
      expect(world.batches.length, step.expect).toBe(batches)
      const last = world.batches.at(-1)
      if (last !== undefined) Object.assign(reached, endsOf(last))
      if (step.expectedEnd !== undefined) expect(reached).toEqual(step.expectedEnd)
      if (step.expect.startsWith('run all')) expect(reached).toEqual(end)
    }
    check(first)
    for (const step of others) {
      takeStep(step)
      await world.pass(step.waitMs ?? (step.nowMs === undefined ? TICK_MS : step.nowMs - world.clock.monotonic()))
      check(step)
    }
    await world.end(driver)
  })

  const limits = { minRecordsPerBatch: 10, maxBatchDelayMs: 5_000 }

  test.each([0, 1_000])('holds the first batch back too, for maxBatchDelayMs from the start (interval %d ms)', async batchIntervalMs => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 3)
    await using _driver = await world.running({ batchIntervalMs, limits })
    await world.pass(4_990)
    expect(world.batches).toEqual([])
    await world.pass(10)
    expect(world.batches.map(sizeOf)).toEqual([3])
  })

  test('counts the delay from the last batch, by a clock that does not jump', async () => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 10)
    await using _driver = await world.running({ batchIntervalMs: 1_000, limits })
    expect(world.batches.map(sizeOf)).toEqual([10])
    world.append('t', 0, 3)
    world.clock.jump(3_600_000)
    await world.pass(4_000)
    world.clock.jump(-7_200_000)
    await world.pass(990)
    expect(world.batches.length).toBe(1)
    await world.pass(10)
    expect(world.batches.map(sizeOf)).toEqual([10, 3])
  })

  test('ends its wait as soon as there are records enough, where there is no interval', async () => {
    const world = new DriverWorld({ t: 2 })
    world.append('t', 0, 9)
    await using _driver = await world.running({ batchIntervalMs: 0, limits })
    await world.pass(300)
    expect(world.batches).toEqual([])
    world.append('t', 1, 1)
    await world.pass(100)
    expect(world.batches.map(sizeOf)).toEqual([10])
  })

  test('is not waited for in a run with an end, whose last records would never come', async () => {
    const world = new DriverWorld({ t: 1 })
    world.append('t', 0, 3)
    const driver = await world.start({ batchIntervalMs: 0, limits }, { until: 'latest' })
    expect(await driver.done).toMatchObject({ reason: 'done', batches: 1, records: 3 })
  })
})

describe('slices of a hot partition', () => {
  class TimedSink extends CollectingSink<unknown> {
    readonly log: string[] = []

    override async write(task: Task, rows: AsyncIterable<readonly unknown[]>, context: { readonly signal: AbortSignal }): Promise<void> {
      this.log.push(`begin ${show(task.range)}`)
      await super.write(task, rows, context)
      this.log.push(`end ${show(task.range)}`)
    }
  }

  async function runSliced(ordering: 'partition' | 'none') {
    const sink = new TimedSink({ ordering })
    const world = new DriverWorld({ t: 2 }, () => sink)
    world.append('t', 0, 10)
    world.append('t', 1, 2)
    // The second slice fails once in a way that passes; the third must not overtake it.
    if (ordering === 'partition') sink.failNext(new ConnectionError('the answer got lost'), { index: 1, at: 'rows' })
    const driver = await world.start({ batchIntervalMs: 0, limits: { maxRecordsPerTask: 4 } }, { until: 'latest' })
    await world.pass(5_000)
    return { sink, driver, world }
  }
  const show = ({ partition, fromOffset, untilOffset }: OffsetRange) => `${partition} [${fromOffset}, ${untilOffset})`

  test('go one after another into an output that needs the order of a partition, beside other partitions', async () => {
    const { sink, driver, world } = await runSliced('partition')
    await world.end(driver)
    const ofHot = sink.log.filter(line => line.includes(' 0 ['))
    expect(world.batches[0]?.ranges.map(show)).toEqual(['0 [0, 3)', '0 [3, 6)', '0 [6, 10)', '1 [0, 2)'])
    expect(ofHot.filter(line => line.startsWith('end'))).toEqual(['end 0 [0, 3)', 'end 0 [3, 6)', 'end 0 [6, 10)'])
    expect(ofHot.indexOf('begin 0 [6, 10)')).toBeGreaterThan(ofHot.indexOf('end 0 [3, 6)'))
    expect(sink.log.indexOf('begin 1 [0, 2)')).toBeLessThan(sink.log.indexOf('end 0 [3, 6)'))
  })

  test('go side by side into one that does not', async () => {
    const { sink, driver, world } = await runSliced('none')
    await world.end(driver)
    expect(sink.log.slice(0, 4)).toEqual(['begin 0 [0, 3)', 'begin 0 [3, 6)', 'begin 0 [6, 10)', 'begin 1 [0, 2)'])
  })

  test('minTasks cuts a batch into about as many, whatever it holds', async () => {
    const world = new DriverWorld({ t: 2 })
    world.append('t', 0, 90)
    world.append('t', 1, 10)
    const driver = await world.start({ batchIntervalMs: 0, limits: { minTasks: 10 } }, { until: 'latest' })
    await driver.done
    expect(world.batches[0]?.ranges.length).toBe(10)
    expect(world.batches[0]?.ranges.every(range => range.untilOffset - range.fromOffset === 10)).toBe(true)
  })
})
