import { afterAll, beforeAll, describe, test } from 'vitest'
import { MatrixTopic } from './matrix/matrix-topic.ts'
import { STORES } from './matrix/plan.ts'
import { inTurns, runZombies } from './zombie-chain.ts'

/** The store's calls, twice each way of taking over: a zombie meets what was asked for last, or renews. */
const POINTS = inTurns('before begin 2', 'after begin 2', 'before commit 2', 'after commit 2', 'after rows 3', 'before renew 1')

let topic: MatrixTopic
let ran = 0

beforeAll(async () => {
  topic = await MatrixTopic.fill('zombies', 1_000)
})

afterAll(async () => {
  await topic[Symbol.asyncDispose]()
  process.stderr.write(`zombies: ${ran} combinations of a place to stop and a store\n`)
})

describe('drivers that were paused and taken over are fenced when they wake, and change nothing', () => {
  test.for(STORES)('with %s offsets', { timeout: 300_000 }, async store => {
    await runZombies(await topic.stream(store, 'postgres append', { recordsPerBatch: 20 }), POINTS, topic.byJava)
    ran += POINTS.length
  })
})
