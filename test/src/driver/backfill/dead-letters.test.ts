import { describe, expect, test } from 'vitest'
import { memoryOffsets } from '../../../../offsets/memory/index.ts'
import type { DeadLetter } from '../../../../src/core/dead-letters/dead-letter.ts'
import { silentLog } from '../../../../src/core/log.ts'
import { deadLetter, type StreamJob, stream } from '../../../../src/index.ts'
import { collectingSink, memorySource } from '../../../../src/testing/index.ts'

const RECORDS = 30
/** The one record that cannot be read. */
const BAD = 17
const GOOD = Array.from({ length: RECORDS }, (_, id) => id).filter(id => id !== BAD)

/** Jobs over one topic and one store that put records aside, or do not, and write to an old output and to one that it has got since. */
function world() {
  const source = memorySource({ topics: { orders: 1 } })
  for (let id = 0; id < RECORDS; id++) source.append('orders', 0, { value: id === BAD ? 'no number' : String(id), timestamp: 1_000 + id })
  const store = memoryOffsets()
  const [old, added, letters] = [collectingSink<number>(), collectingSink<number>(), collectingSink<DeadLetter>()]
  const job = ({ isWithLetters = true, isWithAdded = true } = {}): StreamJob => {
    const declared = stream({
      ...{ name: 'orders', offsets: store, batchIntervalMs: 0, limits: { maxRecordsPerBatch: 10 }, log: silentLog },
      ...(isWithLetters && { onRecordError: deadLetter(letters, { name: 'letters' }) }),
    })
    const flow = declared.from(source).map(record => {
      const id = Number(record.value)
      if (Number.isNaN(id)) throw new Error('no number')
      return id
    })
    flow.to(old, { name: 'old' })
    if (isWithAdded) flow.to(added, { name: 'added' })
    return declared
  }
  return { job, old, added, letters }
}

const ALL = { from: 'earliest', to: 'latest' } as const

describe('a backfill of a job with dead letters', () => {
  test('into an output that the job has got since is not refused for the letters, which say of which stream they are', async () => {
    const { job, added, letters } = world()
    await (await job({ isWithAdded: false }).start({ until: 'latest' })).done
    const run = await job().backfill({ ...ALL, outputs: ['added'] })
    expect(await run.done).toMatchObject({ deadLetters: 1 })
    expect(run.plan.overlaps).toEqual([])
    expect(added.rows).toEqual(GOOD)
    expect(letters.rows.map(letter => [letter.stream, letter.record_offset])).toEqual([
      ['orders', BAD],
      ['orders~backfill-1', BAD],
    ])
  })

  test('goes on with one that a bad record stopped before the job had them', async () => {
    const { job, added, letters } = world()
    const stopped = await job({ isWithLetters: false }).backfill({ ...ALL, outputs: ['added'] })
    await expect(stopped.done).rejects.toThrow(`orders/0 offset ${BAD}`)
    const run = await job().backfill({ ...ALL, outputs: ['added'] })
    await run.done
    expect(run.plan).toMatchObject({ name: 'orders~backfill-1', isResumed: true })
    expect(added.rows).toEqual(GOOD)
    expect(letters.rows).toHaveLength(1)
  })

  test('is refused for outputs that would have rows twice, and not for the letters', async () => {
    const { job } = world()
    await (await job().start({ until: 'latest' })).done
    await expect(job().backfill(ALL)).rejects.toThrow('Nothing was run: old, added would hold rows twice.')
  })
})
