// Plays enrich.ts: produces clicks, kills the job in the midst of a batch, runs it again, and reads the other topic.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { kafkaSource } from 'tidemark/kafka'
import { kafkaOffsets } from 'tidemark/offsets/kafka'
import { killInsideBatch } from '../support/kill-inside-batch.ts'
import { runTidemark, startTidemark } from '../support/run-tidemark.ts'
import { brokers, createTopic, sendMessages, topicName } from '../support/topics.ts'

const CLICKS = 40_000
const USERS = 300
const job = join(import.meta.dirname, 'enrich.ts')

const clicks = await createTopic('clicks')
const sections = await createTopic('sections')
const sent = Array.from({ length: CLICKS }, (_, id) => ({
  id,
  user: `user-${id % USERS}`,
  page: `/${['news', 'sport', 'weather'][id % 3]}/${id}`,
  isRobot: id % 10 === 0,
}))
await sendMessages(
  clicks,
  sent.map(click => ({ key: click.user, value: JSON.stringify(click) })),
)
console.error(`${CLICKS} clicks are in ${clicks}`)

const kafka = { brokers: brokers() }
await using store = kafkaOffsets({ kafka, topic: topicName('offsets') })
const batch = await killInsideBatch(startTidemark('run', job, '--until', 'latest', '--progress'), store, topicName('enrich'))
console.error(`killed with SIGKILL: batch ${batch.id} is begun and not committed`)
assert.equal((await runTidemark('run', job, '--until', 'latest', '--progress')).code, 0)

await using source = kafkaSource({ kafka, topics: [sections], isolation: 'read_committed' })
const lastOfUser = new Map<string, number>()
const ids = new Set<number>()
let rows = 0
for (const { topic, partition, offset: untilOffset } of await source.latestOffsets()) {
  for await (const records of source.read({ topic, partition, fromOffset: 0, untilOffset })) {
    for (const { value } of records) {
      const { id, user, section }: { id: number; user: string; section: string } = JSON.parse(String(value))
      assert.equal(section, ['news', 'sport', 'weather'][id % 3])
      assert.ok(id > (lastOfUser.get(user) ?? -1), `click ${id} of ${user} comes out of order`)
      lastOfUser.set(user, id)
      ids.add(id)
      rows += 1
    }
  }
}
const expected = sent.filter(click => !click.isRobot).length
assert.deepEqual({ rows, ids: ids.size }, { rows: expected, ids: expected })
console.log(`kafka-to-kafka: ${CLICKS} clicks, ${rows} rows in the other topic, ${ids.size} different ids, in the order of their keys`)
