import { readFile } from 'node:fs/promises'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import type { StreamSnapshot } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import { services } from '../../support/services.ts'
import { connectRaw, transact } from './raw-client.ts'

/** A tree as version 1 wrote it (data as base64, by path under the root), and the snapshots of its streams (JSON, gzip, base64). */
type StoredTree = { readonly nodes: Readonly<Record<string, string>>; readonly snapshots: string }

test('a tree of version 1 is read as it was written, and goes on', async () => {
  const { nodes, ...stored }: StoredTree = JSON.parse(await readFile(new URL('stored-v1.json', import.meta.url), 'utf8'))
  const snapshots: readonly StreamSnapshot[] = JSON.parse(gunzipSync(Buffer.from(stored.snapshots, 'base64')).toString())
  const root = `/format-${systemRandom.id()}`
  await using raw = await connectRaw(services().zookeeper)
  await transact(raw, transaction => {
    for (const [path, data] of Object.entries(nodes)) {
      transaction.create(root + path, Buffer.alloc(0))
      transaction.setData(root + path, Buffer.from(data, 'base64'))
    }
  })
  await using store = zookeeperOffsets({ connect: services().zookeeper, root })
  expect(await store.streams()).toEqual(snapshots.map(({ stream }) => stream))
  for (const snapshot of snapshots) {
    const { stream, epoch, pending, lastBatchId } = snapshot
    expect(await store.snapshot(stream)).toEqual(snapshot)
    const lease = await store.acquire(stream, 'second', 60_000, { steal: true })
    expect(lease.epoch).toBe(epoch + 1)
    if (pending !== null) await store.commit(lease, lastBatchId + 1)
    expect((await store.snapshot(stream)).history.slice(0, snapshot.history.length)).toEqual(snapshot.history)
  }
})
