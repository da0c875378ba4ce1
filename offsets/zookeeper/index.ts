import type { OffsetStore } from '../../src/core/offset-store.ts'
import { completeOptions, type ZookeeperOffsetsOptions } from './options.ts'
import { ZookeeperOffsetStore } from './zookeeper-offset-store.ts'

export type { ZookeeperAuth, ZookeeperOffsetsOptions } from './options.ts'
export type { ZookeeperClient } from './zookeeper-client.ts'

/**
 * Offsets in ZooKeeper 3.5 or newer, by node-zookeeper-client. `connect` makes a client of its own on first use and replaces it when its session ends;
 * `client` is one that the caller has already, keeps and closes: once its session has expired it is dead, and so is this store until it is made anew.
 * A closed store opens again when it is used again.
 *
 *     stream({ name: 'orders', offsets: zookeeperOffsets({ connect: process.env.ZOOKEEPER_CONNECT }) })
 *     stream({ name: 'orders', offsets: zookeeperOffsets({ connect: 'zk-1:2181,zk-2:2181/kafka', auth: { scheme: 'digest', auth: 'etl:secret' } }) })
 *
 * Each write is one transaction on the version of the stream's head. A lease is judged by the servers' clock and nothing else: its node's time against
 * that of a node just written; sessions play no part in it. node-zookeeper-client has no TLS: state and credentials cross the network in the clear.
 * ZooKeeper keeps everything in memory: with many partitions keep fewer `historyEntries`.
 *
 * Throws `ConfigError` for wrong options, and from its calls also `AuthError` for credentials and ACLs, `UnsupportedError` for streams of a later
 * version, and `ConnectionError` while ZooKeeper cannot be reached.
 */
export function zookeeperOffsets(options: ZookeeperOffsetsOptions): OffsetStore & AsyncDisposable {
  return new ZookeeperOffsetStore(completeOptions(options))
}
