import { expect, test } from 'vitest'
import type { DeadLetter } from '../../../src/core/dead-letters/dead-letter.ts'
import type { Stage } from '../../../src/core/runnable-job.ts'
import { ManualClock, type MemoryRecord } from '../../../src/testing/index.ts'
import { ALL, keeping, numbered, row, run } from './range-world.ts'

/** Three rows of each record, and outputs that part behind it: one of them refuses a row of some records, at their first, second or third. */
function forked({ isAsync }: { readonly isAsync: boolean }) {
  const later = <T>(value: T): T | Promise<T> => (isAsync ? Promise.resolve().then(() => value) : value)
  const three: Stage = {
    ...{ kind: 'flatMap', label: 'flatMap (three)', concurrency: 4 },
    apply: (record: MemoryRecord) => [0, 1, 2].map(part => `${record.value}.${part}`),
  }
  const picky = row('map', 'map (picky)', (text: string) => {
    const [id = 0, part] = text.split('.').map(Number)
    if (id % 5 === 3 && (part === Math.floor(id / 5) % 3 || id % 7 === 0)) {
      if (isAsync && id % 2 === 0) return Promise.reject(new Error(`refuses ${text}`))
      throw new Error(`refuses ${text}`)
    }
    return id % 11 === 0 ? later(text) : text
  })
  return { three, picky }
}

const isRefused = (id: number) => id % 5 === 3
const KEPT = ALL.filter(id => !isRefused(id)).flatMap(id => [`${id}.0`, `${id}.1`, `${id}.2`])

test.for([false, true])(
  'a record that one of its rows fails is left out whole, whether its output is alone or parts from others (async: %s)',
  async isAsync => {
    const { three, picky } = forked({ isAsync })
    const outcomes = []
    for (const only of [['left', 'right'], ['left']]) {
      const [left, right] = [keeping('left'), keeping('right')]
      const outputs = [
        { kept: left, stages: [three, picky] },
        { kept: right, stages: [three] },
      ]
      const [result] = await run(numbered(), outputs, new ManualClock(), { onRecordError: 'skip' }, only)
      outcomes.push({ rows: left.rows, skipped: result?.skipped })
    }
    const [together, alone] = outcomes
    expect(alone?.rows).toEqual(KEPT)
    expect(together?.rows).toEqual(KEPT)
    expect(together?.skipped).toEqual(alone?.skipped)
    expect(together?.skipped?.count).toBe(ALL.filter(isRefused).length)
  },
)

test.for([false, true])('and is one dead letter, of the row that failed first (async: %s)', async isAsync => {
  const { three, picky } = forked({ isAsync })
  const [left, right, letters] = [keeping('left'), keeping('right'), keeping('letters')]
  const outputs = [
    { kept: left, stages: [three, picky] },
    { kept: right, stages: [three] },
    { kept: letters, stages: [], isDeadLetters: true },
  ]
  await run(numbered(), outputs, new ManualClock(), { onRecordError: 'deadLetter', watched: ['left', 'right'] })
  expect(left.rows).toEqual(KEPT)
  const found = (letters.rows as DeadLetter[]).map(({ record_offset, error_message }) => `${record_offset} ${error_message}`)
  const first = (id: number) => (id % 7 === 0 ? 0 : Math.floor(id / 5) % 3)
  expect(found).toEqual(ALL.filter(isRefused).map(id => `${id} refuses ${id}.${first(id)}`))
})
