import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { listJsonlFiles } from '../../connectors/files/index.ts'
import type { Ended } from '../src/cli/node-process.ts'
import { TidemarkProcess } from '../src/cli/tidemark-process.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { MatrixTopic } from './matrix/matrix-topic.ts'
import type { MatrixStream, OutputKind, StoreKind } from './matrix/plan.ts'
import { readOutput } from './matrix/read-output.ts'
import { jobPath } from './matrix/run-matrix.ts'
import { withStore } from './matrix/stores.ts'

/** Its own in each store, and in a files output the end of it. */
const nameOf = ({ stream }: MatrixStream) => `${stream}~past`

/** In an order in which one backfill meets them all: each process dies at one and is followed by the same command. */
const POINTS = [
  ...['after acquire 1', 'before reset 1', 'after reset 1', 'before begin 1', 'after begin 1', 'after fence 2'],
  ...['before rows 1', 'after rows 1', 'after ledger 1', 'after write 1', 'before commit 1', 'after commit 1'],
  ...['after begin 3', 'before write 4', 'before commit 3', 'before release 1'],
]
const FEW_POINTS = ['before reset 1', 'after reset 1', 'after begin 1', 'after ledger 1', 'before commit 2', 'before release 1']

let topic: MatrixTopic

beforeAll(async () => {
  topic = await MatrixTopic.fill('backfill-kills', 1_000)
})

afterAll(() => topic[Symbol.asyncDispose]())

function backfill(stream: MatrixStream, strike = ''): Promise<Ended> {
  const args = ['backfill', jobPath(), '--from', 'earliest', '--to', 'latest', '--name', nameOf(stream), '--yes']
  return new TidemarkProcess(args, { env: { MATRIX: JSON.stringify(stream), STRIKE: strike } }).ended
}

/** What the backfill has written, as `partition:offset`, sorted as text. */
async function written(stream: MatrixStream): Promise<string[]> {
  if (stream.output !== 'files') return (await readOutput(stream, kafkaCluster(), '')).sort()
  const texts = await Promise.all((await listJsonlFiles(join(stream.folder, 'rows~past'))).map(({ path }) => readFile(path, 'utf8')))
  const rows = texts.flatMap(text => text.split('\n').filter(Boolean)).map(line => JSON.parse(line))
  return rows.map(({ part, place }) => `${part}:${place}`).sort()
}

describe('a backfill that is killed at every arrow and gone on with by the same command', () => {
  test.for<readonly [StoreKind, OutputKind, readonly string[]]>([
    ['sqlite', 'postgres append', POINTS],
    ['postgres', 'files', POINTS.filter(point => !point.includes('ledger'))],
    ['redis', 'postgres append', FEW_POINTS],
    ['zookeeper', 'postgres append', FEW_POINTS],
    ['kafka', 'postgres append', FEW_POINTS],
  ])('loses and doubles nothing with %s offsets, into %s', { timeout: 600_000 }, async ([store, output, points]) => {
    const stream = await topic.stream(store, output, { leaseTtlMs: 500 })
    for (const point of points) {
      expect(await backfill(stream, `kill ${point}`), point).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining('struck') })
    }
    expect(await backfill(stream)).toMatchObject({ code: 0, stdout: expect.stringContaining('It is complete.') })
    expect(await written(stream)).toEqual(topic.byJava)
    // The bounds were settled once, whoever of them came to it, and the live stream was left alone.
    const [entries, streams] = await withStore(stream, async own => [
      await Array.fromAsync(own.history(nameOf(stream))),
      await own.streams(),
    ])
    expect(entries.filter(({ kind }) => kind === 'reset')).toHaveLength(1)
    expect(entries.at(-1)).toMatchObject({ kind: 'reset', reason: expect.stringMatching(/^backfill \{"v":1/) })
    expect(streams).not.toContain(stream.stream)
  })
})
