import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { DeadLetter } from '../../../src/core/dead-letters/dead-letter.ts'
import { ManualClock } from '../../../src/testing/index.ts'
import { ALL, type Kept, keeping, numbered, RECORDS, row, run, toNumber } from './range-world.ts'

const picky = (name: string, every: number) =>
  row('map', `map (${name})`, (id: number) => {
    if (id % every === every - 1) throw new Error(`${name} refuses ${id}`)
    return id
  })

const shared = picky('shared', 97)
const left = picky('left', 89)
const right = picky('right', 83)

/** What must be among the letters, whatever happens to the outputs. */
const EXPECTED = ALL.flatMap(id => {
  if (id % 97 === 96) return [`${id} map (shared) ["left","right"]`]
  const of = (name: string, every: number) => (id % every === every - 1 ? [`${id} map (${name}) ["${name}"]`] : [])
  return [...of('left', 89), ...of('right', 83)]
})

const linesOf = (letters: Kept) =>
  (letters.rows as DeadLetter[]).map(({ record_offset, stage, outputs }) => `${record_offset} ${stage} ${outputs}`)

type Fate = { readonly slowAt?: number | undefined; readonly failsAt?: number | undefined; readonly leavesAt?: number | undefined }

/** An output that stands still for good, fails, or ends without its rows, each at one of its arrays. What stands still goes on when the others are done. */
function fated(name: string, { slowAt, failsAt, leavesAt }: Fate): Kept {
  const kept = keeping(name)
  const go = Promise.withResolvers<void>()
  return {
    ...kept,
    go: go.resolve,
    sink: {
      ...kept.sink,
      async write(_task, arrays) {
        let at = 0
        for await (const array of arrays) {
          if (at === failsAt) throw new Error('the disk is full')
          if (at === leavesAt) return
          kept.rows.push(...array)
          if (at === slowAt) await go.promise
          at += 1
        }
      },
    },
  }
}

const fate = fc.record({
  slowAt: fc.option(fc.nat(12), { nil: undefined }),
  failsAt: fc.option(fc.nat(12), { nil: undefined }),
  leavesAt: fc.option(fc.nat(12), { nil: undefined }),
})

test('letters are the same and in the same order, whichever outputs are slow, fail or end early, and the letters too', async () => {
  await fc.assert(
    fc.asyncProperty(fate, fate, fc.option(fc.nat(12), { nil: undefined }), async (ofLeft, ofRight, slowLetters) => {
      const clock = new ManualClock()
      const outputs = [fated('left', ofLeft), fated('right', ofRight)]
      const letters = fated('letters', { slowAt: slowLetters })
      const ended = run(
        numbered(),
        [
          { kept: outputs[0] as Kept, stages: [toNumber, shared, left] },
          { kept: outputs[1] as Kept, stages: [toNumber, shared, right] },
          { kept: letters, stages: [], isDeadLetters: true },
        ],
        clock,
        { onRecordError: 'deadLetter', watched: ['left', 'right'] },
      )
      let hasEnded = false
      ended.finally(() => {
        hasEnded = true
      })
      // Each slow one in turn uses up what the others wait for it; then it is let go.
      for (const kept of [...outputs, letters]) {
        for (let step = 0; step < 15 && !hasEnded; step++) await clock.advance(100)
        kept.go()
      }
      while (!hasEnded) await clock.advance(100)
      const results = await ended
      expect(linesOf(letters)).toEqual(EXPECTED)
      for (const [at, { name, rows }] of outputs.entries()) {
        const every = name === 'left' ? 89 : 83
        const all = ALL.filter(id => id % 97 !== 96 && id % every !== every - 1)
        const { failsAt, leavesAt } = at === 0 ? ofLeft : ofRight
        if (failsAt === undefined && leavesAt === undefined) expect(rows).toEqual(all)
        else expect(rows).toEqual(all.slice(0, rows.length))
      }
      expect(results.at(-1)).toMatchObject({ rows: EXPECTED.length, records: RECORDS })
    }),
    { numRuns: 300 },
  )
})

test('letters come off the read of the rows: nothing is read or worked out twice while all goes well', async () => {
  const source = numbered()
  let parsed = 0
  const counting = row('map', 'map (counting)', (record: never) => {
    parsed += 1
    return (toNumber as { apply: (record: never) => unknown }).apply(record)
  })
  const letters = keeping('letters')
  await run(
    source,
    [
      { kept: keeping('left'), stages: [counting, shared, left] },
      { kept: keeping('right'), stages: [counting, shared, right] },
      { kept: letters, stages: [], isDeadLetters: true },
    ],
    new ManualClock(),
    { onRecordError: 'deadLetter', watched: ['left', 'right'] },
  )
  expect(linesOf(letters)).toEqual(EXPECTED)
  expect(parsed).toBe(RECORDS)
  expect(source.reads).toHaveLength(1)
})

test('an attempt for the letters alone works out those of all outputs', async () => {
  const letters = keeping('letters')
  const stood = keeping('left')
  const outputs = [
    { kept: letters, stages: [], isDeadLetters: true },
    { kept: stood, stages: [toNumber, shared, left] },
    { kept: keeping('right'), stages: [toNumber, shared, right] },
  ]
  const clock = new ManualClock()
  await run(numbered(), outputs, clock, { onRecordError: 'deadLetter', watched: ['left', 'right'] }, ['letters'])
  expect(linesOf(letters)).toEqual(EXPECTED)
  expect(stood.rows).toEqual([])
})
