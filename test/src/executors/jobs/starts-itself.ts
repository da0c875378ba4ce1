import { isMainThread } from 'node:worker_threads'
import { stream } from 'tidemark'
import { memoryOffsets } from 'tidemark/offsets/memory'
import { memorySource } from 'tidemark/testing'

const job = stream({ name: 'starts-itself', offsets: memoryOffsets() })
  .from(memorySource({ topics: { t: 1 } }))
  .forEachRange(() => {})

// The test's own thread is no program either.
if (!isMainThread) await job.start()

export default job
