import { describe, expect, test } from 'vitest'
import { ConfigError } from '../../../src/core/errors.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { splitRanges } from '../../../src/driver/split-ranges.ts'
import { readCases } from './read-cases.ts'

type Row = { topic: string; partition: number; from: number; until: number }
type Table = {
  invalidOptions: { minPartitions: string[]; maxRecordsPerPartition: string[] }
  cases: { name: string; minPartitions: number | null; maxRecordsPerPartition: number | null; ranges: Row[]; expected: Row[] }[]
}

const table = readCases<Table>('offset-range-calculator')

function toRange({ topic, partition, from, until }: Row): OffsetRange {
  return { topic, partition, fromOffset: from, untilOffset: until }
}

test.each(table.cases)('as in Spark: $name ($minPartitions, $maxRecordsPerPartition)', each => {
  const options = { minTasks: each.minPartitions ?? undefined, maxRecordsPerTask: each.maxRecordsPerPartition ?? undefined }
  expect(splitRanges(each.ranges.map(toRange), options)).toEqual(each.expected.map(toRange))
})

describe('options', () => {
  const values = (texts: string[]) => texts.map(text => (Number.isNaN(Number(text)) ? text : Number(text)))

  // Spark reads its options as text and refuses "1.0" as a form; a number has no form.
  test.each(values(table.invalidOptions.minPartitions).filter(value => value !== 1))('minTasks of %s are refused as in Spark', value => {
    expect(() => splitRanges([], { minTasks: value as number })).toThrow(ConfigError)
    expect(() => splitRanges([], { minTasks: value as number })).toThrow('splitRanges: minTasks is ')
  })

  test.each(values(table.invalidOptions.maxRecordsPerPartition))('maxRecordsPerTask of %s is refused as in Spark', value => {
    expect(() => splitRanges([], { maxRecordsPerTask: value as number })).toThrow(ConfigError)
    expect(() => splitRanges([], { maxRecordsPerTask: value as number })).toThrow('splitRanges: maxRecordsPerTask is ')
  })

  test('that are no whole numbers, or unknown, are refused all at once', () => {
    const options = { minTasks: 1.5, maxRecordsPerTask: Number.NaN, maxTasks: 3 }
    expect(() => splitRanges([], options)).toThrow(
      /minTasks is 1.5.*\n.*maxRecordsPerTask is NaN.*\n.*maxTasks is not an option: did you mean minTasks\?/,
    )
  })
})

test('every slice keeps the topic id and the leader epoch of its range', () => {
  const range = { topic: 't', partition: 1, fromOffset: 10, untilOffset: 13, topicId: 'A', leaderEpoch: 4 }
  expect(splitRanges([range], { maxRecordsPerTask: 2 })).toEqual([
    { ...range, untilOffset: 11 },
    { ...range, fromOffset: 11 },
  ])
})

test('ranges stay in the order they were given, whatever it is', () => {
  const ranges = [toRange({ topic: 'z', partition: 1, from: 0, until: 4 }), toRange({ topic: 'a', partition: 0, from: 5, until: 6 })]
  expect(splitRanges(ranges, { maxRecordsPerTask: 2 }).map(range => [range.topic, range.fromOffset])).toEqual([
    ['z', 0],
    ['z', 2],
    ['a', 5],
  ])
})

test('a slice that stays whole keeps its whole partition whole, as in Spark', () => {
  const ranges = [
    { topic: 't', partition: 0, fromOffset: 0, untilOffset: 1 },
    { topic: 't', partition: 0, fromOffset: 1, untilOffset: 101 },
    { topic: 't', partition: 1, fromOffset: 0, untilOffset: 100 },
  ]
  expect(splitRanges(ranges, { minTasks: 5 })).toEqual([
    ...ranges.slice(0, 2),
    { topic: 't', partition: 1, fromOffset: 0, untilOffset: 50 },
    { topic: 't', partition: 1, fromOffset: 50, untilOffset: 100 },
  ])
})

test.each([-1, 0.5, Number.NaN, 2 ** 53])('an offset of %d is refused with its range', offset => {
  const range = { topic: 'orders', partition: 3, fromOffset: offset, untilOffset: 9 }
  expect(() => splitRanges([range], {})).toThrow(`orders/3 [${offset}, 9) has offset ${offset}`)
})
