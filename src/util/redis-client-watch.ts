import type { RedisClient } from './redis-client.ts'

/** What a client said about its connection, which is more than that commands were dropped. */
export type ClientWatch = {
  /** The newest error since it was ready. */
  readonly lastError: unknown
  /** What it met while it became ready, and went on without. */
  readonly metOnTheWay: unknown
  /** How often it became ready: it may have reached another server each time. */
  readonly connections: number
}

const watches = new WeakMap<RedisClient, { watch: ClientWatch; users: number; stop: () => void }>()

/** Listens to a client, once however many stores share it, until each has called {@link unwatchClient}. */
export function watchClient(client: RedisClient): ClientWatch {
  const known = watches.get(client)
  if (known !== undefined) {
    known.users += 1
    return known.watch
  }
  const watch = { lastError: undefined as unknown, metOnTheWay: undefined as unknown, connections: 0 }
  const onError = (error?: unknown) => {
    watch.lastError = error
  }
  const onReady = () => {
    watch.metOnTheWay = watch.lastError
    watch.lastError = undefined
    watch.connections += 1
  }
  client.on('error', onError)
  client.on('ready', onReady)
  const stop = () => {
    client.off('error', onError)
    client.off('ready', onReady)
  }
  watches.set(client, { watch, users: 1, stop })
  return watch
}

export function unwatchClient(client: RedisClient): void {
  const known = watches.get(client)
  if (known === undefined) return
  known.users -= 1
  if (known.users > 0) return
  known.stop()
  watches.delete(client)
}
