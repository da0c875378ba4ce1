import { describe, expect, test } from 'vitest'
import { prepareBlob } from '../../../offsets/zookeeper/blobs.ts'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import { generationOf, layoutOf, pathsOf } from '../../../offsets/zookeeper/stream-paths.ts'
import { parseRecord } from '../../../offsets/zookeeper/stream-record.ts'
import { ZookeeperConnection } from '../../../offsets/zookeeper/zookeeper-connection.ts'
import { systemClock } from '../../../src/core/clock.ts'
import type { HistoryEntry, Lease, OffsetStore } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { OffsetRange } from '../../../src/core/values.ts'
import { services } from '../../support/services.ts'
import { connectRaw, readTree, transact } from './raw-client.ts'

function uniqueRoot(): string {
  return `/tree-${systemRandom.id()}`
}

/** Hard to compress, so that few partitions make large nodes. */
function largeRanges(partitions: number): OffsetRange[] {
  return Array.from({ length: partitions }, (_, partition) => {
    return {
      topic: `orders-${systemRandom.id(32)}`,
      partition,
      fromOffset: partition,
      untilOffset: partition + 7,
      topicId: systemRandom.id(22),
    }
  })
}

async function historyOf(store: OffsetStore, stream: string): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  for await (const entry of store.history(stream)) entries.push(entry)
  return entries
}

async function pathsOfStream(root: string, stream: string) {
  await using raw = await connectRaw(services().zookeeper)
  const paths = pathsOf(layoutOf(root), stream)
  const tree = await readTree(raw, root)
  const { generation } = parseRecord(tree.get(paths.head) ?? Buffer.from('{}'), paths.head)
  return { paths, inside: generationOf(paths, generation), tree }
}

describe('what a stream writes into the tree', () => {
  test('is plain JSON in one node as long as it is small', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    const { paths, tree } = await pathsOfStream(root, 'orders')
    expect(JSON.parse(String(tree.get(paths.head)))).toMatchObject({ v: 1, stream: 'orders', epoch: 1, streamId: lease.streamId })
  })

  test('is in parts of 256 kB where it is large, nothing of which is left when it goes', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    const batch = { id: 1, batchTime: 1, epoch: 1, ranges: largeRanges(12_000) }
    await store.begin(lease, batch)
    expect((await store.read('orders')).pending).toEqual(batch)
    await store.commit(lease, 1)
    expect((await store.read('orders')).offsets).toHaveLength(12_000)
    expect(await historyOf(store, 'orders')).toMatchObject([{ kind: 'batch', batch }])
    const { inside, tree } = await pathsOfStream(root, 'orders')
    const parts = [...tree].filter(([path]) => path.startsWith(`${inside.blobs}/`))
    expect(parts.length).toBeGreaterThanOrEqual(6)
    expect(Math.max(...[...tree.values()].map(data => data.length))).toBeLessThanOrEqual(262_144)

    await store.reset(lease, [], { forget: batch.ranges })
    const names = [...(await pathsOfStream(root, 'orders')).tree.keys()].filter(path => path.startsWith(`${inside.blobs}/`))
    expect(names.filter(path => path.includes('/offsets-'))).toEqual([])
    await store.remove(lease)
    await using raw = await connectRaw(services().zookeeper)
    expect([...(await readTree(raw, root)).keys()]).toEqual([root, `${root}/data`, `${root}/data/orders`, `${root}/streams`])
  })

  test('holds a reset whose discard and whose positions are both too large for a chunk', async () => {
    await using store = zookeeperOffsets({ connect: services().zookeeper, root: uniqueRoot() })
    const lease = await store.acquire('orders', 'first', 60_000)
    const offsets = largeRanges(1_000).map(({ topic, partition, untilOffset: offset }) => ({ topic, partition, offset }))
    const [small, large] = [1, 2].map(id => ({ id, batchTime: 1, epoch: 1, ranges: id === 1 ? largeRanges(200) : largeRanges(500) }))
    for (const batch of [small, large]) {
      if (batch === undefined) continue
      await store.begin(lease, batch)
      await store.reset(lease, offsets, { reason: 'because '.repeat(5_000), discard: true, forget: batch.ranges })
    }
    const [second, discardedSecond, first, discardedFirst] = await historyOf(store, 'orders')
    expect([second, first]).toMatchObject([
      { kind: 'reset', offsets },
      { kind: 'reset', offsets },
    ])
    expect([discardedFirst, discardedSecond]).toMatchObject([
      { kind: 'discard', batch: small },
      { kind: 'discard', batch: large },
    ])
  })

  test('is trimmed to as many entries as the option says: chunks and blobs go, starts stay', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root, historyEntries: 1_000 })
    const large = { id: 2, batchTime: 2, epoch: 1, ranges: largeRanges(4_000) }
    const history = Array.from({ length: 2_999 }, (_, index): HistoryEntry => {
      const stamp = { seq: index + 1, at: index, epoch: 1 }
      if (index === 0) return { ...stamp, kind: 'start', offsets: [{ topic: 'orders', partition: 0, offset: 3 }] }
      return { ...stamp, kind: 'batch', batch: index === 1 ? large : { id: index + 1, batchTime: index, epoch: 1, ranges: [] } }
    })
    const ids = { streamId: 'a', epoch: 1, lastBatchId: 2_999, lastCommittedId: 2_999 }
    await store.restore({ v: 1, stream: 'orders', ...ids, offsets: [], pending: null, history })
    expect(await historyOf(store, 'orders')).toEqual(history.toReversed())

    const lease = await store.acquire('orders', 'first', 60_000)
    await store.begin(lease, { id: 3_000, batchTime: 1, epoch: 2, ranges: [] })
    await store.commit(lease, 3_000)
    const seqs = [3_000, ...history.map(entry => entry.seq).toReversed()].filter(seq => seq > 2_000)
    expect((await historyOf(store, 'orders')).map(entry => entry.seq)).toEqual([...seqs, 1])
    expect((await store.snapshot('orders')).history.map(entry => entry.seq)).toEqual([1, ...seqs.toReversed()])
    const { inside, tree } = await pathsOfStream(root, 'orders')
    const names = (folder: string) =>
      [...tree.keys()].filter(path => path.startsWith(`${folder}/`)).map(path => path.slice(folder.length + 1))
    expect(names(inside.blobs)).toEqual([])
    const [kept = '', oldest = '', ...others] = names(inside.history)
    expect(kept).toMatch(/^0000000000000001-\d{16}-kept$/)
    expect(Number(oldest.split('-')[1])).toBeGreaterThan(2_000)
    expect(others.length).toBeLessThan(5)
  })

  test('that a person damaged is named', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    await store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: largeRanges(1_000) })
    const { inside, tree } = await pathsOfStream(root, 'orders')
    const blob = [...tree.keys()].find(path => path.startsWith(`${inside.blobs}/`)) ?? ''
    await using raw = await connectRaw(services().zookeeper)
    await transact(raw, transaction => void transaction.remove(blob))
    await expect(store.read('orders')).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(blob) })
  })

  test('by a later version is refused', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    await store.acquire('orders', 'first', 60_000)
    await using raw = await connectRaw(services().zookeeper)
    await transact(raw, transaction => void transaction.setData(`${root}/streams/orders`, Buffer.from('{"v":2}')))
    await expect(store.read('orders')).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(store.acquire('orders', 'second', 60_000)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await store.close().catch(() => {})
  })
})

describe('versions', () => {
  test('the first version of a head counts like any other', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    await using other = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    await other.acquire('orders', 'second', 60_000, { steal: true })
    await expect(store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [] })).rejects.toMatchObject({ code: 'FENCED' })
  })

  test('a writer that knew a stream cannot write into its successor, whose head has come to the same version', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    await using other = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    await other.remove(await other.acquire('orders', 'second', 60_000, { steal: true }))
    const { streamId } = await other.acquire('orders', 'first', 60_000)
    await expect(store.begin(lease, { id: 1, batchTime: 1, epoch: 1, ranges: [] })).rejects.toMatchObject({ code: 'FENCED' })
    expect(await other.read('orders')).toMatchObject({ streamId, pending: undefined })
  })
})

describe('what a writer left that died halfway', () => {
  async function deadWriter(root: string, lease: Lease) {
    const connection = new ZookeeperConnection(
      { servers: services().zookeeper, auth: undefined, sessionTimeoutMs: 10_000 },
      { acl: 'open', clock: systemClock },
    )
    const { inside } = await pathsOfStream(root, lease.stream)
    const json = JSON.stringify({ batch: { ranges: largeRanges(12_000) } })
    const blob = await connection.attempt({}, session => prepareBlob(session, inside, 'batch-dead', json))
    return { connection, inside, blob }
  }

  test('goes when the lease is granted again, and can no longer be pointed to', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    const { connection, inside, blob } = await deadWriter(root, lease)
    expect([...(await pathsOfStream(root, 'orders')).tree.keys()]).toContain(`${inside.blobs}/batch-dead/1`)

    await store.acquire('orders', 'second', 60_000, { steal: true })
    const left = [...(await pathsOfStream(root, 'orders')).tree.keys()].filter(path => path.includes('batch-dead'))
    expect(left).toEqual([])
    const answer = await connection.attempt({}, session => session.multi(blob.operations))
    expect(answer).toMatchObject({ done: false, refusal: 'NO_NODE' })
    await connection.close()
  })

  test('stays where a head has come to point to it', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    const lease = await store.acquire('orders', 'first', 60_000)
    const { connection, inside, blob } = await deadWriter(root, lease)
    await connection.attempt({}, session => session.multi(blob.operations))
    await store.acquire('orders', 'second', 60_000, { steal: true })
    expect([...(await pathsOfStream(root, 'orders')).tree.keys()]).toContain(`${inside.blobs}/batch-dead/1`)
    await connection.close()
  })

  test('as a restore goes when the stream is acquired', async () => {
    const root = uniqueRoot()
    await using store = zookeeperOffsets({ connect: services().zookeeper, root })
    await store.acquire('orders', 'first', 60_000)
    const { paths } = await pathsOfStream(root, 'orders')
    await using raw = await connectRaw(services().zookeeper)
    await transact(raw, transaction => {
      for (const path of ['', '/building', '/history', '/history/0000000000000001-0000000000000002', '/blobs', '/staged']) {
        transaction.create(`${paths.data}/dead${path}`, Buffer.alloc(0))
      }
    })
    await store.acquire('orders', 'first', 60_000)
    expect([...(await pathsOfStream(root, 'orders')).tree.keys()].filter(path => path.includes('/dead'))).toEqual([])
  })
})
