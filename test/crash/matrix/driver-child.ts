// One driver of the crash matrix or of the random walk: the stream that MATRIX describes, dying where STRIKE says. Ends with 0, or with 4 where it was
// fenced; what ended it otherwise is its last line.

import { kafkaSource } from '../../../connectors/kafka/index.ts'
import { errorMessage, isTidemarkError } from '../../../src/core/errors.ts'
import { silentLog } from '../../../src/core/log.ts'
import { stream } from '../../../src/index.ts'
import { strike, withStrikes } from '../strike.ts'
import { openOutput } from './outputs.ts'
import type { MatrixStream } from './plan.ts'
import { openStore } from './stores.ts'

const about: MatrixStream = JSON.parse(process.env.MATRIX ?? '')
const { brokers, topic, recordsPerBatch, leaseTtlMs, until, steal } = about
const source = kafkaSource({ kafka: { brokers: [...brokers], logLevel: 0 }, topics: [topic] })

const job = stream({
  name: about.stream,
  offsets: withStrikes(openStore(about)),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: recordsPerBatch },
  leaseTtlMs,
  log: silentLog,
})
  .from(withStrikes(source))
  .map(record => ({ topic: record.topic, part: record.partition, place: record.offset }))
  .mapRange(async function* (rows) {
    let isFirst = true
    for await (const array of rows) {
      if (isFirst) await strike('before', 'rows')
      isFirst = false
      yield array
    }
    await strike('after', 'rows')
  })
  .to(withStrikes(openOutput(about)))

try {
  const run = await job.start({ steal, ...(until === 'latest' && { until }) })
  process.on('SIGTERM', () => run.stop())
  await run.done
  process.exit(0)
} catch (error) {
  process.stderr.write(`ended: ${isTidemarkError(error) ? error.code : 'UNKNOWN'} ${errorMessage(error)}\n`)
  process.exit(isTidemarkError(error, 'FENCED') ? 4 : 1)
}
