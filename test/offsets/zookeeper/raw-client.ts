import { once } from 'node:events'
import zookeeper, { type Client } from 'node-zookeeper-client'

/** A connected client of node-zookeeper-client, to look at a tree past the store, or to be given to one. */
export async function connectRaw(connect: string): Promise<Client & AsyncDisposable> {
  const client = zookeeper.createClient(connect, { sessionTimeout: 10_000 })
  const connected = once(client, 'connected')
  client.connect()
  await connected
  return Object.assign(client, { [Symbol.asyncDispose]: () => closeRaw(client) })
}

export async function closeRaw(client: Client): Promise<void> {
  if (client.getState().name !== 'SYNC_CONNECTED') return
  const disconnected = once(client, 'disconnected')
  client.close()
  await disconnected
}

/** Every node under `path` with its data, by path. */
export async function readTree(client: Client, path: string): Promise<Map<string, Buffer>> {
  const tree = new Map<string, Buffer>()
  const children = await new Promise<string[]>((resolve, reject) =>
    client.getChildren(path, (error, names) => (error ? reject(error) : resolve(names))),
  )
  const data = await new Promise<Buffer>((resolve, reject) =>
    client.getData(path, (error, bytes) => (error ? reject(error) : resolve(bytes))),
  )
  tree.set(path, data)
  for (const child of children.sort()) {
    for (const [at, inside] of await readTree(client, `${path}/${child}`)) tree.set(at, inside)
  }
  return tree
}

/** Sends a transaction that is put together by `fill`. */
export function transact(client: Client, fill: (transaction: ReturnType<Client['transaction']>) => void): Promise<void> {
  const transaction = client.transaction()
  fill(transaction)
  return new Promise((resolve, reject) => transaction.commit(error => (error ? reject(error) : resolve())))
}

export function isThere(client: Client, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => client.exists(path, (error, stat) => (error ? reject(error) : resolve(Boolean(stat)))))
}
