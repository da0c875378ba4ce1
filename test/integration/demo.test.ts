import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { NodeProcess } from '../src/cli/node-process.ts'
import { kafkaClient, kafkaCluster } from '../support/kafka.ts'

const demo = fileURLToPath(new URL('../../examples/demo/demo.ts', import.meta.url))

function startDemo(records: number): NodeProcess {
  return new NodeProcess([demo], { env: { DEMO_RECORDS: String(records), KAFKA_BROKERS: kafkaCluster().brokers.join(',') } })
}

async function demoTopics(): Promise<string[]> {
  const admin = kafkaClient().admin()
  await admin.connect()
  try {
    return (await admin.listTopics()).filter(topic => topic.startsWith('demo-orders-'))
  } finally {
    await admin.disconnect()
  }
}

test.for([100_000, 20_000])(
  'the demo with %i records kills its driver, replays, loses and doubles nothing, and leaves no topic',
  async records => {
    const { code, stdout, stderr } = await startDemo(records).ended
    expect(stderr).toMatch(/killed the driver \(pid \d+\) with SIGKILL: [\d,]+ offsets are committed, batch \d+ is begun and is not\n/)
    expect(stderr).toMatch(/demo-orders: replaying batch \d+, begun .* and not committed:\n {2}demo-orders-\d+\/0 \[/)
    expect(stderr).not.toMatch(/ 0 records\/s/)
    expect(stdout.trimEnd().split('\n').at(-1)).toBe(`demo: ${records} records read, ${records} rows written, 0 lost, 0 duplicated`)
    expect(code).toBe(0)
    expect(await demoTopics()).toEqual([])
  },
)

test('a demo that is interrupted leaves neither a driver nor a topic behind', async () => {
  const running = startDemo(50_000)
  await running.says('demo-orders: started at epoch 1')
  running.signal('SIGINT')
  const { code, stdout } = await running.ended
  expect({ code, stdout }).toEqual({ code: 130, stdout: '' })
  expect(await demoTopics()).toEqual([])
})

test('a demo whose Kafka does not answer says so and ends with 2', async () => {
  const { code, stdout, stderr } = await new NodeProcess([demo], { env: { KAFKA_BROKERS: '127.0.0.1:1' } }).ended
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('demo: KAFKA_BROKERS=127.0.0.1:1 is not usable')
  expect(stderr).not.toMatch(/^\s+at /m)
})
