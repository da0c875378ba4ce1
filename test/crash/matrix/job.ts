// The job of a stream of the crash matrix, as MATRIX describes it, with places to strike (see ../strike.ts).
import { stream } from 'tidemark'
import { kafkaSource } from 'tidemark/kafka'
import { strike, strikeAtRename, withStrikes } from '../strike.ts'
import { openOutput } from './outputs.ts'
import type { MatrixStream } from './plan.ts'
import { openStore } from './stores.ts'

export const about: MatrixStream = JSON.parse(process.env.MATRIX ?? '')
strikeAtRename()
const { brokers, topic, recordsPerBatch, leaseTtlMs, alsoInto } = about
const source = kafkaSource({ kafka: { brokers: [...brokers], logLevel: 0 }, topics: [topic] })

const rows = stream({
  name: about.stream,
  offsets: withStrikes(openStore(about)),
  batchIntervalMs: 0,
  limits: { maxRecordsPerBatch: recordsPerBatch },
  leaseTtlMs,
})
  .from(withStrikes(source))
  .map(record => ({ topic: record.topic, part: record.partition, place: record.offset }))
  .mapRange(async function* (arrays) {
    let isFirst = true
    for await (const array of arrays) {
      if (isFirst) await strike('before', 'rows')
      isFirst = false
      yield array
    }
    await strike('after', 'rows')
  })
if (alsoInto !== undefined) rows.to(withStrikes(openOutput({ ...about, target: alsoInto })))

export default rows.to(withStrikes(openOutput(about)))
