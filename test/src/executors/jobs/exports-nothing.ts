import { stream } from 'tidemark'
import { memorySource } from 'tidemark/testing'

/** A job that its module does not export: only who calls this has it. */
export function makeJob() {
  return stream({ name: 'kept-inside' })
    .from(memorySource({ topics: { t: 1 } }))
    .forEachRange(() => {})
}
