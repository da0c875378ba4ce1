import { join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import { downloadJars } from './maven.ts'

/** The ZooKeeper that is started where none is given. */
export const ZOOKEEPER_VERSION = '3.9.3'

/** Gives the classpath of ZooKeeper's server, `<folder>/*`, downloaded once through Maven and kept in the cache. @throws ConfigError */
export async function ensureZookeeperJars(): Promise<string> {
  const folder = await cacheFolder(`zookeeper-${ZOOKEEPER_VERSION}`, into =>
    downloadJars(`ZooKeeper ${ZOOKEEPER_VERSION}`, into, [
      ['org.apache.zookeeper', 'zookeeper', ZOOKEEPER_VERSION],
      // The server needs these two, and does not name them as its own.
      ['io.dropwizard.metrics', 'metrics-core', '4.2.30'],
      ['org.xerial.snappy', 'snappy-java', '1.1.10.7'],
    ]),
  )
  return join(folder, '*')
}
