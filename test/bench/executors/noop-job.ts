/** A job without work: what is left is what an executor costs. Ranges of the topic `slow` take a quarter of a second each. */
import { setTimeout as sleep } from 'node:timers/promises'
import { silentLog } from '../../../src/core/log.ts'
import { type Sink, type Source, stream } from '../../../src/index.ts'

const source: Source<never> = {
  name: 'noop',
  partitions: async () => [],
  earliestOffsets: async () => [],
  latestOffsets: async () => [],
  offsetsForTimestamp: async () => [],
  async *read() {},
  async close() {},
}

const sink: Sink<never> = {
  name: 'noop',
  guarantee: 'idempotent',
  ordering: 'none',
  async write({ range }, rows) {
    for await (const _ of rows);
    if (range.topic === 'slow') await sleep(250)
  },
}

export default stream({ name: 'bench-noop', log: silentLog }).from(source).to(sink)
