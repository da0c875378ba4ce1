// One driver of the crash matrix or of the random walk: the stream that MATRIX describes, dying where STRIKE says. Ends with 0, or with 4 where it was
// fenced; what ended it otherwise is its last line.

import { errorMessage, isTidemarkError } from '../../../src/core/errors.ts'
import { silentLog } from '../../../src/core/log.ts'
import job, { about } from './job.ts'

try {
  const run = await job.start({ steal: about.steal, log: silentLog, ...(about.until === 'latest' && { until: 'latest' }) })
  process.on('SIGTERM', () => run.stop())
  await run.done
  process.exit(0)
} catch (error) {
  process.stderr.write(`ended: ${isTidemarkError(error) ? error.code : 'UNKNOWN'} ${errorMessage(error)}\n`)
  process.exit(isTidemarkError(error, 'FENCED') ? 4 : 1)
}
