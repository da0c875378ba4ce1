import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { temporaryFolder } from '../connectors/files/temporary-folder.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { writeJob } from '../src/cli/write-job.ts'
import type { KafkaCluster } from '../support/cluster/kafka-cluster.ts'
import { startKafka } from '../support/cluster/start-kafka.ts'
import { createTopic, kafkaClient, saslConfig, sendMessages, uniqueName } from '../support/kafka.ts'

let kafka: KafkaCluster

beforeAll(async () => {
  kafka = await startKafka({ sasl: true, authorizer: true, own: true })
})
afterAll(() => kafka?.close())

/** A topic with two records on which the user who logs in has these rights and no others. */
async function topicWith(...rights: (keyof typeof AclOperationTypes)[]): Promise<string> {
  const topic = await createTopic(uniqueName('rights'), {}, kafka)
  await sendMessages(topic, [{ value: '{"id":1}' }, { value: '{"id":2}' }], { kafka })
  const acl = rights.map(right => ({
    resourceType: AclResourceTypes.TOPIC,
    resourceName: topic,
    resourcePatternType: ResourcePatternTypes.LITERAL,
    principal: `User:${kafka.sasl?.username}`,
    host: '*',
    operation: AclOperationTypes[right],
    permissionType: AclPermissionTypes.ALLOW,
  }))
  const admin = kafkaClient(kafka).admin()
  await admin.connect()
  if (acl.length > 0) await admin.createAcls({ acl })
  await admin.disconnect()
  return topic
}

/** Runs a job over the login to what is there now. */
async function run(topic: string) {
  const cwd = temporaryFolder()
  writeJob(
    cwd,
    'job.ts',
    `import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
export default stream({ name: 'rights' })
  .from(kafkaSource({ kafka: JSON.parse(process.env.KAFKA ?? ''), topics: ['${topic}'] }))
  .forEachBatch(rows => console.log(rows.length))`,
  )
  const { logLevel: _, ...config } = saslConfig(kafka)
  return tidemark(['run', 'job.ts', '--until', 'latest'], { cwd, env: { KAFKA: JSON.stringify(config) } })
}

const sentence = (stderr: string) =>
  stderr
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('{'))
    .join('\n')

describe('a user without the right', () => {
  test('to describe a topic is told so, and nothing is retried', async () => {
    const topic = await topicWith()
    const startedAt = performance.now()
    const { code, stdout, stderr } = await run(topic)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(sentence(stderr)).toBe(
      `tidemark: Metadata of topic ${topic}: not allowed (TOPIC_AUTHORIZATION_FAILED). Grant the user Describe and Read on the topic, and ` +
        'Describe on the group it names.',
    )
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  test('to read a topic that it may describe is told so, by the task that tried', async () => {
    const topic = await topicWith('DESCRIBE')
    const { code, stdout, stderr } = await run(topic)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(sentence(stderr)).toMatch(
      new RegExp(`^tidemark: Fetch of ${topic}/0 at 0: not allowed \\(TOPIC_AUTHORIZATION_FAILED\\)\\. Grant`),
    )
    expect(stderr).not.toMatch(/\\n\s+at |^\s+at /m)
  })

  test('to read what a group has committed is told so', async () => {
    const topic = await topicWith('READ', 'DESCRIBE')
    await using source = kafkaSource({ kafka: saslConfig(kafka), topics: [topic] })
    await expect(source.committedOffsets?.('a-group')).rejects.toMatchObject({
      code: 'AUTH',
      message: expect.stringMatching(/a-group.*not allowed \(GROUP_AUTHORIZATION_FAILED\)/),
    })
  })

  test('gets its records once it is granted', async () => {
    expect(await run(await topicWith('READ', 'DESCRIBE'))).toMatchObject({ code: 0, stdout: '2\nrights: done, 2 records in 1 batch\n' })
  })

  test('to one of the topics that match a pattern does not see that one', async () => {
    const [hidden, open] = [await topicWith(), await topicWith('READ', 'DESCRIBE')]
    await using source = kafkaSource({ kafka: saslConfig(kafka), topics: new RegExp(`^(${hidden}|${open})$`) })
    expect(await source.partitions()).toEqual([{ topic: open, partition: 0 }])
  })
})
