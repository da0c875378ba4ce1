import { describe, expect, test } from 'vitest'
import type { StartingOffsets } from '../../../src/core/source.ts'
import { resolveStartingPoints } from '../../../src/driver/starting-points.ts'
import { memorySource } from '../../../src/testing/index.ts'

const TIMES = [1000, 2000, 3000]

/** Three records a partition, at three times; partition 2 has a later one. */
function filled() {
  const source = memorySource({ topics: { t: 3 } })
  for (let partition = 0; partition < 3; partition++) {
    for (const timestamp of TIMES) source.append('t', partition, { value: 'x', timestamp })
  }
  source.append('t', 2, { value: 'late', timestamp: 9000 })
  return source
}

async function start(startingOffsets: StartingOffsets, source = filled(), known: readonly string[] = [], hasStarted = known.length > 0) {
  const entry = { name: 'memory', source, isolation: 'read_uncommitted', startingOffsets } as const
  const points = await resolveStartingPoints(entry, await source.partitions(), { topics: new Set(known), hasStarted }, {})
  return points.map(({ partition, offset }) => [partition, offset])
}

test('earliest is the first offset that is still there', async () => {
  const source = filled()
  source.deleteBefore('t', 1, 2)
  expect(await start({ at: 'earliest' }, source)).toEqual([
    [0, 0],
    [1, 2],
    [2, 0],
  ])
})

test('latest is the end', async () => {
  expect(await start({ at: 'latest' })).toEqual([
    [0, 3],
    [1, 3],
    [2, 4],
  ])
})

test('a timestamp is the first record at or after it', async () => {
  expect(await start({ at: 'timestamp', timestamp: 1500 })).toEqual([
    [0, 1],
    [1, 1],
    [2, 1],
  ])
})

test('a timestamp that no record of a partition reaches fails, naming the partitions, or begins at their end', async () => {
  await expect(start({ at: 'timestamp', timestamp: 5000 })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining('t/0, t/1'),
  })
  expect(await start({ at: 'timestamp', timestamp: 5000, noMatch: 'latest' })).toEqual([
    [0, 3],
    [1, 3],
    [2, 3],
  ])
})

describe('committed', () => {
  test('is what the group has committed', async () => {
    const source = filled()
    source.setCommitted('g', [
      { topic: 't', partition: 0, offset: 1 },
      { topic: 't', partition: 1, offset: 2 },
      { topic: 't', partition: 2, offset: 3 },
    ])
    expect(await start({ at: 'committed', group: 'g' }, source)).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ])
  })

  test('fails where the group has nothing for a partition', async () => {
    const source = filled()
    source.setCommitted('g', [{ topic: 't', partition: 0, offset: 1 }])
    await expect(start({ at: 'committed', group: 'g' }, source)).rejects.toMatchObject({ message: expect.stringContaining('t/1, t/2') })
  })
})

describe('exact', () => {
  const exact = (...offsets: number[]): StartingOffsets => ({
    at: 'exact',
    offsets: offsets.map((offset, partition) => ({ topic: 't', partition, offset })),
  })

  test('is as given', async () => {
    expect(await start(exact(0, 3, 2))).toEqual([
      [0, 0],
      [1, 3],
      [2, 2],
    ])
  })

  test('must name every partition', async () => {
    await expect(start(exact(0, 1))).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('t/2') })
  })

  test('must not name a partition that the topic does not have', async () => {
    await expect(start(exact(0, 1, 2, 3))).rejects.toMatchObject({ message: expect.stringContaining('t/3') })
  })

  test('must lie in the log', async () => {
    await expect(start(exact(0, 1, 99))).rejects.toMatchObject({ message: expect.stringMatching(/t\/2 at 99.*from 0 to 4/) })
  })
})

test('each partition may begin its own way', async () => {
  const partitions = [
    { topic: 't', partition: 0, start: 'latest' },
    { topic: 't', partition: 1, start: { offset: 1 } },
    { topic: 't', partition: 2, start: { timestamp: 4000 } },
  ] as const
  expect(await start({ at: 'each', partitions })).toEqual([
    [0, 3],
    [1, 1],
    [2, 3],
  ])
})

test('a partition of a topic that the stream knows begins at earliest, whatever is said', async () => {
  expect(await start({ at: 'latest' }, filled(), ['t'])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ])
})

test('a topic that a pattern finds after the first start begins at earliest, one that a list names as is said', async () => {
  const pattern = Object.assign(filled(), { findsTopics: true })
  expect(await start({ at: 'latest' }, pattern, [], true)).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ])
  expect(await start({ at: 'latest' }, Object.assign(filled(), { findsTopics: true }), [], false)).toEqual([
    [0, 3],
    [1, 3],
    [2, 4],
  ])
  expect(await start({ at: 'latest' }, filled(), [], true)).toEqual([
    [0, 3],
    [1, 3],
    [2, 4],
  ])
})

test('a timestamp so late that it is no date is told as the number it is', async () => {
  await expect(start({ at: 'timestamp', timestamp: Number.MAX_SAFE_INTEGER })).rejects.toMatchObject({
    code: 'CONFIG',
    message: expect.stringContaining(`no record at or after ${Number.MAX_SAFE_INTEGER} ms in t/0, t/1, t/2`),
  })
})
