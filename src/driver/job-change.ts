import type { BatchFacts } from './batch-facts.ts'

/**
 * What a job gained and lost since its last batch, in a sentence, or undefined where it is the same: outputs and topics by name. Topics that the
 * stream has read and no source of the job names any more are not lost data: their offsets stay.
 */
export function describeJobChange(
  last: BatchFacts | undefined,
  now: {
    readonly outputs: readonly string[]
    readonly hash: string
    /** Topics that sources name and the stream has not read. */
    readonly addedTopics: readonly string[]
    readonly unnamedTopics: readonly string[]
  },
): string | undefined {
  const said: string[] = []
  if (last !== undefined) {
    const added = now.outputs.filter(name => !last.outputs.includes(name))
    const gone = last.outputs.filter(name => !now.outputs.includes(name))
    if (added.length > 0) said.push(`new outputs, which get rows from the next batch on: ${added.join(', ')}`)
    if (gone.length > 0) said.push(`outputs that are gone: ${gone.join(', ')}`)
    if (now.addedTopics.length > 0) said.push(`topics that are new to it: ${now.addedTopics.join(', ')}`)
    if (said.length === 0 && last.job !== now.hash) said.push('its stages or sources are others')
  }
  const { unnamedTopics } = now
  if (unnamedTopics.length > 0) said.push(`topics it no longer names, whose offsets are kept as they are: ${unnamedTopics.join(', ')}`)
  return said.length === 0 ? undefined : `the job is not the one that ran last: ${said.join('; ')}`
}
