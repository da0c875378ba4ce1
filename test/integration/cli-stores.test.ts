import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { surgeryJob } from '../src/cli/surgery-job.ts'
import { tidemark } from '../src/cli/tidemark-process.ts'
import { kafkaCluster, uniqueName } from '../support/kafka.ts'
import { services } from '../support/services.ts'

/** A place of its own in each kind of store, as the command line names it. */
const STORES: Readonly<Record<string, (cwd: string) => string>> = {
  sqlite: cwd => `sqlite:${join(cwd, 'offsets.db')}`,
  postgres: () => `${services().postgres}?tidemark_schema=${uniqueName('cli').replaceAll('-', '_')}`,
  redis: () => `${services().redis}?prefix=${uniqueName('cli')}`,
  zookeeper: () => `zookeeper://${services().zookeeper}/${uniqueName('cli')}`,
  kafka: () => `kafka://${kafkaCluster().brokers.join(',')}/${uniqueName('cli')}`,
}

describe.for(Object.keys(STORES))('a store of kind %s, by its URL,', kind => {
  test('runs a job, and everything that is done to a stream by hand', async () => {
    const cwd = surgeryJob()
    const store = STORES[kind]?.(cwd) ?? ''
    const env = { OUTPUTS: 'files', TIDEMARK_STORE: store }
    const json = async (...args: string[]): Promise<Record<string, unknown>> => {
      const { code, stdout, stderr } = await tidemark([...args, '--json'], { cwd, env })
      expect(code, stderr).toBe(0)
      return JSON.parse(stdout)
    }
    expect(await json('run', 'orders.ts', '--until', 'latest')).toMatchObject({ batches: 4, records: 300 })
    const byName = await tidemark(['offsets', 'show', '--stream', 'orders', '--store', store, '--json'], { cwd })
    expect(JSON.parse(byName.stdout)).toMatchObject({
      epoch: 1,
      lastBatchId: 4,
      partitions: [{ committed: 100 }, { committed: 100 }, { committed: 100 }],
    })

    expect(await json('offsets', 'rewind', 'orders.ts', '--batches', '1', '--yes')).toMatchObject({ changed: true })
    expect(await json('offsets', 'reset', 'orders.ts', '--to', 'orders:0:50', '--yes', '--reason', 'by the test')).toMatchObject({
      changed: true,
    })
    expect(await json('offsets', 'show', 'orders.ts')).toMatchObject({
      partitions: [{ committed: 50 }, { committed: 90 }, { committed: 90 }],
    })
    expect(await json('offsets', 'history', 'orders.ts', '--limit', '2')).toMatchObject({
      entries: [
        { kind: 'reset', reason: 'by the test' },
        { kind: 'reset', reason: 'by hand: rewind by 1 batch' },
      ],
    })
    expect(await json('replay', 'orders.ts', '--batch', '2', '--yes')).toMatchObject({ name: 'orders~replay-1', records: 90 })
    expect(await json('streams')).toMatchObject({ streams: [{ stream: 'orders' }, { stream: 'orders~replay-1', lastBatchId: 1 }] })

    const { stdout: input } = await tidemark(['offsets', 'export', 'orders.ts'], { cwd, env })
    expect(await json('streams', 'rm', 'orders', '--yes')).toMatchObject({ changed: true })
    expect(await tidemark(['offsets', 'import', 'orders.ts', '-', '--yes'], { cwd, env, input })).toMatchObject({ code: 0 })
    expect(JSON.parse((await tidemark(['offsets', 'export', 'orders.ts'], { cwd, env })).stdout)).toEqual(JSON.parse(input))
    expect(await json('run', 'orders.ts', '--until', 'latest')).toMatchObject({ records: 70 })

    const moved = `sqlite:${join(cwd, 'moved.db')}`
    expect(await json('offsets', 'copy', 'orders.ts', '--to', moved, '--yes')).toMatchObject({ changed: true, to: moved })
    expect(await json('offsets', 'show', 'orders.ts')).toMatchObject({ retired: `moved to ${moved}` })
  })
})
