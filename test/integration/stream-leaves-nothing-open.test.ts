import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { NodeProcess } from '../src/cli/node-process.ts'
import { createTopic, kafkaCluster, saslConfig, sendMessages, uniqueName } from '../support/kafka.ts'

const script = fileURLToPath(new URL('./run-and-exit.ts', import.meta.url))
let topic: string

beforeAll(async () => {
  topic = await createTopic(uniqueName('ends'), { partitions: 20 })
  // Brokers know of a partition before they have made its log, and kafkajs sends the others' records a second time then.
  await using source = kafkaSource({ kafka: { brokers: kafkaCluster().brokers }, topics: [topic] })
  await source.latestOffsets()
  const messages = Array.from({ length: 2_000 }, (_, id) => ({ partition: id % 20, value: String(id) }))
  await sendMessages(topic, messages)
})

describe('a process with a stream that has ended', () => {
  test.for<[string, () => object, string]>([
    ['at its end', () => ({ brokers: kafkaCluster().brokers }), 'latest'],
    ['because it was stopped while it waited for records', () => ({ brokers: kafkaCluster().brokers }), 'stop'],
    ['at its end, over TLS and a login', () => saslConfig(), 'latest'],
  ])('%s has no socket, timer or listener of it, and ends by itself without a warning', async ([, kafka, how]) => {
    const child = new NodeProcess(['--conditions=tidemark-source', script, JSON.stringify(kafka()), topic, how], {
      env: { NODE_NO_WARNINGS: '' },
    })
    const { code, stdout, stderr } = await child.ended
    const endedAfterMs = Date.now() - JSON.parse(stdout).endedAt
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const { records, before, left } = JSON.parse(stdout)
    expect(records).toBe(2_000)
    expect(left).toEqual(before)
    expect(endedAfterMs).toBeLessThan(2_000)
  })
})
