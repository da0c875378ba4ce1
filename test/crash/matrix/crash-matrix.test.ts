import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaCluster } from '../../support/kafka.ts'
import { program } from '../../support/programs/program.ts'
import { MatrixTopic } from './matrix-topic.ts'
import { crashPointsOf, OUTPUTS, STORES } from './plan.ts'
import { readOutput } from './read-output.ts'
import { runDriver } from './run-driver.ts'

const RECORDS = 1_000
const COMBINATIONS = STORES.flatMap(store => OUTPUTS.map(output => ({ store, output })))

let topic: MatrixTopic
let struck = 0

beforeAll(async () => {
  // Not of a test: those that run side by side would take each other's away.
  topic = await MatrixTopic.fill('matrix', RECORDS)
  expect(topic.byJava.length).toBeLessThan(RECORDS)
})

afterAll(async () => {
  await topic[Symbol.asyncDispose]()
  process.stderr.write(`crash matrix: ${struck} combinations of a crash point, a store and an output\n`)
})

describe.concurrent('a stream whose drivers are killed at every arrow of a batch', () => {
  test.for(COMBINATIONS)(
    'loses and doubles nothing with $store offsets, into $output',
    { timeout: 600_000 },
    async ({ store, output }, context) => {
      // Small batches where some of them are waited for.
      const stream = await topic.stream(store, output, output === 'rolled files' ? { recordsPerBatch: 15 } : {})
      let stdout = ''
      for (const point of crashPointsOf(output)) {
        const killed = await runDriver(stream, point.strike, context.signal, program('matrix-driver'))
        expect(killed, point.name).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining('struck') })
        stdout += `${killed.stdout}\n`
        struck += 1
      }
      const last = await runDriver(stream, '', context.signal, program('matrix-driver'))
      expect(last).toMatchObject({ code: 0, stderr: '' })
      const written = (await readOutput(stream, kafkaCluster(), stdout + last.stdout)).sort()
      // The console promises that nothing is lost, and no more.
      expect(output === 'console' ? [...new Set(written)] : written).toEqual(topic.byJava)
    },
  )
})
