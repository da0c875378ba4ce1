import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTopic, kafkaCluster, uniqueName } from '../../support/kafka.ts'
import { readAll } from '../../support/oracle.ts'
import { produce } from '../../support/produce.ts'
import { services } from '../../support/services.ts'
import { crashPointsOf, type MatrixStream, OUTPUTS, STORES } from './plan.ts'
import { prepareOutput, readOutput } from './read-output.ts'
import { runDriver } from './run-driver.ts'

const RECORDS = 1_000
const RECORDS_PER_BATCH = 40
const COMBINATIONS = STORES.flatMap(store => OUTPUTS.map(output => ({ store, output })))

let topic: string
let folder: string
let byJava: readonly string[]
let struck = 0

beforeAll(async () => {
  // Not of a test: those that run side by side would take each other's away.
  folder = await mkdtemp(join(tmpdir(), 'tidemark-matrix-'))
  topic = await createTopic(uniqueName('matrix'), { partitions: 2 })
  await produce(kafkaCluster(), { topic, count: RECORDS, keys: true, transactionRecords: 25, abortEvery: 5, producers: 2 })
  const records = await readAll(kafkaCluster(), topic, 'read_committed')
  byJava = records.map(({ partition, offset }) => `${partition}:${offset}`).sort()
  expect(byJava.length).toBeLessThan(RECORDS)
})

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  process.stderr.write(`crash matrix: ${struck} combinations of a crash point, a store and an output\n`)
})

describe.concurrent('a stream whose drivers are killed at every arrow of a batch', () => {
  test.for(COMBINATIONS)(
    'loses and doubles nothing with $store offsets, into $output',
    { timeout: 600_000 },
    async ({ store, output }, context) => {
      const name = uniqueName('matrix')
      const stream: MatrixStream = {
        ...{ stream: name, store, output, target: name.replaceAll('-', '_'), folder: join(folder, name) },
        ...{ brokers: kafkaCluster().brokers, topic, ...services() },
        // Whoever was there before is dead, and nobody need wait for the end of its lease.
        ...{ recordsPerBatch: RECORDS_PER_BATCH, leaseTtlMs: 10_000, until: 'latest', steal: true },
      }
      await mkdir(stream.folder, { recursive: true })
      await prepareOutput(stream, kafkaCluster())
      let stdout = ''
      for (const point of crashPointsOf(output)) {
        const killed = await runDriver(stream, point.strike, context.signal)
        expect(killed, point.name).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining('struck') })
        stdout += `${killed.stdout}\n`
        struck += 1
      }
      const last = await runDriver(stream, '', context.signal)
      expect(last).toMatchObject({ code: 0, stderr: '' })
      const written = (await readOutput(stream, kafkaCluster(), stdout + last.stdout)).sort()
      // The console promises that nothing is lost, and no more.
      expect(output === 'console' ? [...new Set(written)] : written).toEqual(byJava)
    },
  )
})
