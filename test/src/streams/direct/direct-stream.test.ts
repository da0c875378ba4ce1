import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../../offsets/memory/index.ts'
import { type DataLossError, isTidemarkError } from '../../../../src/core/errors.ts'
import type { StreamEvent } from '../../../../src/core/events.ts'
import { silentLog } from '../../../../src/core/log.ts'
import type { OffsetStore } from '../../../../src/core/offset-store.ts'
import { type DirectBatch, type DirectStream, type DirectStreamOptions, openDirectStream, stream } from '../../../../src/index.ts'
import { collectingSink, type MemoryRecord, type MemorySource, memorySource } from '../../../../src/testing/index.ts'

/** An engine of its own: it reads what it is given, in no order, and remembers which batch brought what. */
class Engine {
  readonly source: MemorySource
  readonly store: OffsetStore = memoryOffsets()
  readonly events: StreamEvent[] = []
  /** What the engine's output holds: rows by batch, replaced whole where a batch comes again. */
  readonly output = new Map<number, string[]>()

  constructor(source = memorySource({ topics: { orders: 2 } })) {
    this.source = source
  }

  open(options: Partial<DirectStreamOptions<MemoryRecord>> = {}): Promise<DirectStream> {
    return openDirectStream({
      name: 'orders',
      source: this.source,
      offsets: this.store,
      batchIntervalMs: 0,
      limits: { maxRecordsPerBatch: 4 },
      log: silentLog,
      listeners: [event => this.events.push(event)],
      ...options,
    })
  }

  append(from: number, until: number): void {
    for (let id = from; id < until; id++) this.source.append('orders', id % 2, { value: String(id) })
  }

  async run(direct: DirectStream, batch: DirectBatch, losses: DataLossError[] = []): Promise<void> {
    const reads = batch.ranges.map(async range => {
      const options = { signal: direct.signal, isolation: batch.isolation, onDataLoss: (loss: DataLossError) => void losses.push(loss) }
      return (await Array.fromAsync(this.source.read(range, options))).flat().map(record => String(record.value))
    })
    this.output.set(batch.id, (await Promise.all(reads)).flat())
  }

  /** Runs and commits batches until there is nothing to read. */
  async drain(direct: DirectStream): Promise<void> {
    for (let batch = await direct.next(); batch !== undefined; batch = await direct.next()) {
      await this.run(direct, batch)
      await direct.commit(batch)
    }
  }

  get rows(): number[] {
    return [...this.output.values()]
      .flat()
      .map(Number)
      .sort((a, b) => a - b)
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, id) => id)

async function next(direct: DirectStream): Promise<DirectBatch> {
  const batch = await direct.next()
  if (batch === undefined) throw new Error('there is nothing to read')
  return batch
}

describe('a stream that an engine runs', () => {
  test('gives batch after batch until there is nothing to read, each begun before it is given', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    await using direct = await engine.open()
    const first = await next(direct)
    expect((await engine.store.read('orders')).pending).toMatchObject({ id: 1, ranges: first.ranges })
    await engine.drain(direct)
    expect(engine.rows).toEqual(upTo(10))
    expect(await direct.next()).toBeUndefined()
    expect(direct.committed.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 5],
      [1, 5],
    ])
  })

  test('gives the batch in hand again until it is committed, also to calls that come together', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    await using direct = await engine.open()
    const [one, other] = await Promise.all([direct.next(), direct.next()])
    expect(other).toEqual(one)
    engine.append(10, 20)
    expect(await direct.next()).toEqual(one)
  })

  test('gives a batch that was begun and not committed to whoever comes next, verbatim, under the new epoch', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    const before = await engine.open()
    const begun = await next(before)
    await engine.run(before, begun)
    await before.close()
    engine.append(10, 30)

    await using direct = await engine.open({ limits: { maxRecordsPerBatch: 100 } })
    const again = await next(direct)
    expect(again).toEqual({ ...begun, isReplay: true, epoch: begun.epoch + 1 })
    await engine.drain(direct)
    expect(engine.rows).toEqual(upTo(30))
  })

  test('has starting points in the store before anything is read, also of partitions with nothing to read', async () => {
    const engine = new Engine(memorySource({ topics: { orders: 2 }, startingOffsets: { at: 'latest' } }))
    engine.source.append('orders', 0, { value: '0' })
    const before = await engine.open()
    expect(await before.next()).toBeUndefined()
    await before.close()
    engine.source.append('orders', 1, { value: '1' })
    await using direct = await engine.open()
    await engine.drain(direct)
    expect(engine.rows).toEqual([1])
  })

  test('takes a commit again as nothing new, and refuses that of a batch which is not begun', async () => {
    const engine = new Engine()
    engine.append(0, 4)
    await using direct = await engine.open()
    const batch = await next(direct)
    await direct.commit(batch)
    await direct.commit(batch)
    await expect(direct.commit({ id: 7 })).rejects.toMatchObject({ code: 'CONFLICT' })
  })

  test('is fenced when another takes it over: what is under way is aborted, and nothing more is committed', async () => {
    const engine = new Engine()
    engine.append(0, 4)
    const old = await engine.open({ leaseTtlMs: 100 })
    const batch = await next(old)
    const aborted = new Promise(resolve => old.signal.addEventListener('abort', () => resolve(old.signal.reason)))
    await using direct = await engine.open({ steal: true })
    await expect(old.commit(batch)).rejects.toMatchObject({ code: 'FENCED' })
    expect(isTidemarkError(await aborted, 'FENCED')).toBe(true)
    await expect(old.next()).rejects.toMatchObject({ code: 'FENCED' })
    await old.close()
    expect((await next(direct)).isReplay).toBe(true)
  })

  test('stands by while another owner lives, and opens when that one has closed', async () => {
    const engine = new Engine()
    const first = await engine.open({ leaseTtlMs: 200 })
    const second = engine.open({ leaseTtlMs: 200 })
    await expect.poll(() => engine.events.some(({ type }) => type === 'standingBy')).toBe(true)
    await first.close()
    await using direct = await second
    expect(direct.lease.epoch).toBe(2)
  })

  test('refuses a batch that a job with outputs has begun, and the job refuses one that an engine has', async () => {
    const engine = new Engine()
    engine.append(0, 4)
    const sink = collectingSink<MemoryRecord>()
    sink.failNext(new Error('no room'))
    const job = stream({ name: 'orders', offsets: engine.store, log: silentLog }).from(engine.source).to(sink, { name: 'table' })
    await expect((await job.start({ until: 'latest' })).done).rejects.toThrow()
    await expect(engine.open()).rejects.toThrow(/by a job that writes to table: only that job can say which of its rows are in/)
    await (await job.start({ until: 'latest' })).done

    engine.append(4, 8)
    const direct = await engine.open()
    await next(direct)
    await direct.close()
    await expect(job.start({ until: 'latest' })).rejects.toMatchObject({ code: 'JOB' })
  })

  test('with until ends at what was there when it was opened, whatever comes meanwhile', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    await using direct = await engine.open({ until: 'latest' })
    expect(direct.isDone).toBe(false)
    for (let batch = await direct.next(); batch !== undefined; batch = await direct.next()) {
      engine.append(10 + batch.id * 2, 12 + batch.id * 2)
      await engine.run(direct, batch)
      await direct.commit(batch)
    }
    expect(direct.isDone).toBe(true)
    expect(engine.rows).toEqual(upTo(10))
  })

  test('without until is never done', async () => {
    const engine = new Engine()
    engine.append(0, 2)
    await using direct = await engine.open()
    await engine.drain(direct)
    expect(direct.isDone).toBe(false)
  })

  test('waits for records without asking again and again', async () => {
    const engine = new Engine()
    await using direct = await engine.open()
    expect(await direct.next()).toBeUndefined()
    const waiting = direct.awaitRecords()
    engine.append(0, 1)
    await waiting
    expect((await next(direct)).ranges).toHaveLength(1)
  })
})

describe('records that are gone', () => {
  test('end the stream by default, with what is missing', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    const before = await engine.open()
    await before.commit(await next(before))
    await before.close()
    engine.source.deleteBefore('orders', 0, 4)
    await using direct = await engine.open()
    await expect(direct.next()).rejects.toMatchObject({ code: 'DATA_LOSS', missing: [{ partition: 0, fromOffset: 2, untilOffset: 4 }] })
  })

  test('before a plan are passed where the policy says so, and told', async () => {
    const engine = new Engine()
    engine.append(0, 10)
    const before = await engine.open()
    await before.commit(await next(before))
    await before.close()
    engine.source.deleteBefore('orders', 0, 4)
    await using direct = await engine.open({ onDataLoss: 'skip' })
    await engine.drain(direct)
    expect(engine.rows).toEqual([5, 7, 8, 9])
    expect(engine.events.filter(({ type }) => type === 'dataLoss')).toMatchObject([{ cause: 'retention' }])
  })

  test('of a begun batch are told with its commit, and the partition goes on where its log does', async () => {
    const engine = new Engine()
    engine.append(0, 20)
    await using direct = await engine.open({ onDataLoss: 'skip' })
    const batch = await next(direct)
    engine.source.deleteBefore('orders', 0, 6)
    const losses: DataLossError[] = []
    await engine.run(direct, batch, losses)
    await direct.commit(batch, { losses })
    await engine.drain(direct)
    expect(engine.rows).toEqual([1, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    expect(engine.events.filter(({ type }) => type === 'dataLoss').map(event => 'missing' in event && event.missing)).toMatchObject([
      [{ fromOffset: 0, untilOffset: 2 }],
      [{ fromOffset: 2, untilOffset: 6 }],
    ])
  })
})

test('what ranges weighed holds the next batches to maxBytesPerBatch, also after a restart', async () => {
  const engine = new Engine()
  engine.append(0, 100)
  const limits = { maxRecordsPerBatch: 10, maxBytesPerBatch: 4_000 }
  const before = await engine.open({ limits })
  const batch = await next(before)
  await before.commit(batch, { weighed: batch.ranges.map(range => ({ range, bytes: 1_000 * (range.untilOffset - range.fromOffset) })) })
  const count = ({ ranges }: DirectBatch) => ranges.reduce((sum, { fromOffset, untilOffset }) => sum + untilOffset - fromOffset, 0)
  expect(count(batch)).toBe(10)
  const weighed = await next(before)
  expect(count(weighed)).toBe(4)
  await before.commit(weighed)
  await before.close()
  await using direct = await engine.open({ limits })
  expect(count(await next(direct))).toBe(4)
})

test('options are checked all at once, without asking anybody', async () => {
  const wrong = { name: '', source: {}, offsets: memoryOffsets(), limits: { maxRecords: 5 } }
  await expect(openDirectStream(wrong as never)).rejects.toThrow(
    /^openDirectStream: 3 options are wrong:\n {2}name is an empty string: .*\n {2}limits.maxRecords is not an option: .*\n {2}source is an object: a source, such as kafkaSource/,
  )
})
