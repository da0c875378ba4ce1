/** What Tidemark reads of a node's `Stat`; `mtime` is the server's clock, ms, as 8 bytes big endian. */
export type ZookeeperStat = { readonly mtime: Buffer; readonly version: number }

/** An ACL of node-zookeeper-client, as its types have it; which copy of the package made it does not matter. */
export type ZookeeperAcl = { readonly perms: number; readonly id: { readonly scheme: string; readonly id: string } }

/** A `multi` in the making. */
export interface ZookeeperTransaction {
  create(path: string, data: Buffer, acls?: ZookeeperAcl[]): unknown
  setData(path: string, data: Buffer, version?: number): unknown
  check(path: string, version?: number): unknown
  remove(path: string, version?: number): unknown
  commit(callback: (error: unknown, results: unknown) => void): void
}

/** A client of node-zookeeper-client, by what Tidemark uses of it, so that the caller's copy of the package may be another than ours. */
export interface ZookeeperClient {
  connect(): void
  close(): void
  getState(): { readonly name: string }
  on(event: 'state', listener: (state: { readonly name: string }) => void): unknown
  removeListener(event: string, listener: (state: { readonly name: string }) => void): unknown
  transaction(): ZookeeperTransaction
  exists(path: string, callback: (error: unknown, stat: ZookeeperStat | null) => void): void
  getData(path: string, callback: (error: unknown, data: Buffer | undefined, stat: ZookeeperStat) => void): void
  getChildren(path: string, callback: (error: unknown, children: string[]) => void): void
}
