// The job of a fleet, as FLEET describes it, with places to strike (see ../strike.ts).
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stream } from 'tidemark'
import { type KafkaRecord, kafkaSource } from 'tidemark/kafka'
import { sqliteOffsets } from 'tidemark/offsets/sqlite'
import { postgresSink } from 'tidemark/postgres'
import type { RangeContext } from '../../../src/core/runnable-job.ts'
import type { Sink } from '../../../src/core/sink.ts'
import { openOutput, type PlaceRow } from '../matrix/outputs.ts'
import { strike, strikeAtRename, withStrikes } from '../strike.ts'
import { waitAtGate } from './gate.ts'
import { insertWithoutLedger } from './insert-without-ledger.ts'
import { asMatrix, type FleetOutput, type FleetStream } from './plan.ts'

const about: FleetStream = JSON.parse(process.env.FLEET ?? '')
const { folder, postgres, taskMs, isHeld, exitEvery, startingOffsets } = about
strikeAtRename()

const job = stream({
  name: about.stream,
  offsets: withStrikes(sqliteOffsets({ path: join(folder, 'offsets.db') })),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: about.recordsPerBatch, maxRecordsPerTask: about.recordsPerTask },
  leaseTtlMs: about.leaseTtlMs,
})
for (const { topic, outputs } of about.flows) {
  const source = kafkaSource({
    kafka: { brokers: [...about.brokers], logLevel: 0 },
    topics: [topic],
    ...(startingOffsets && { startingOffsets }),
  })
  const rows = job
    .from(withStrikes(source))
    .map((record: KafkaRecord): PlaceRow => ({ topic: record.topic, part: record.partition, place: record.offset }))
    .mapRange(work)
  for (const output of outputs) {
    if (output.kind === 'each') rows.forEachRange(insertWithoutLedger(postgres, output.target), { name: output.target })
    else rows.to(withStrikes(open(topic, output)))
  }
}

export default job

async function* work(arrays: AsyncIterable<readonly PlaceRow[]>, range: RangeContext): AsyncGenerator<readonly PlaceRow[]> {
  await strike('before', 'rows')
  if (isHeld) await waitAtGate(folder, range.epoch)
  let isFirst = true
  for await (const array of arrays) {
    yield array
    if (isFirst) exitOnce(range)
    isFirst = false
  }
  if (taskMs > 0) await sleep(taskMs)
  await strike('after', 'rows')
}

/** Ends this process, or thread, at the first attempt of one task in so many, with some of its rows on their way. */
function exitOnce({ batchId, index }: RangeContext): void {
  if (exitEvery === 0 || (batchId * 7 + index) % exitEvery !== 0) return
  const marker = join(folder, `exited-${batchId}-${index}`)
  if (existsSync(marker)) return
  writeFileSync(marker, '')
  process.exit(13)
}

/** Those of the matrix have places to strike inside, and clients of their own for it; a walk takes the usual way. */
function open(topic: string, output: FleetOutput): Sink<PlaceRow> {
  const { kind, target: table } = output
  if (!kind.startsWith('postgres') || process.env.STRIKE) return openOutput(asMatrix(about, topic, output))
  if (kind === 'postgres append') return postgresSink<PlaceRow>({ connectionString: postgres, table })
  return postgresSink<PlaceRow>({ connectionString: postgres, table, key: ['topic', 'part', 'place'] })
}
