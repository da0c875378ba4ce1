/** Runs a stream in a process of its own, says what it leaves open when it has ended, and ends only if that is nothing. */
import { kafkaSource } from '../../connectors/kafka/index.ts'
import { memoryOffsets } from '../../offsets/memory/index.ts'
import { silentLog } from '../../src/core/log.ts'
import { stream } from '../../src/index.ts'

const [, , kafka = '{}', topic = '', how = 'latest'] = process.argv
const listening = () =>
  process
    .eventNames()
    .flatMap(name => process.listeners(name as 'exit').map(() => String(name)))
    .sort()
const before = { resources: process.getActiveResourcesInfo().sort(), listeners: listening() }
const waited = Promise.withResolvers<void>()
const run = await stream({
  name: 'leaves-nothing',
  offsets: memoryOffsets(),
  batchIntervalMs: 0,
  log: silentLog,
  listeners: [event => void (event.type === 'batchCompleted' && waited.resolve())],
})
  .from(kafkaSource({ kafka: JSON.parse(kafka), topics: [topic] }))
  .forEachRange(async rows => {
    for await (const _ of rows);
  })
  .start(how === 'latest' ? { until: 'latest' } : {})
if (how === 'stop') {
  await waited.promise
  await run.stop()
}
const { records } = await run.done
// What was destroyed is gone with the next turns of the loop.
for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
const left = { resources: process.getActiveResourcesInfo().sort(), listeners: listening() }
process.stdout.write(JSON.stringify({ records, before, left, endedAt: Date.now() }))
