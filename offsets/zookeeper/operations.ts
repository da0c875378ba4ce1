import { ConfigError } from '../../src/core/errors.ts'
import type { ZookeeperStat } from './zookeeper-client.ts'
import { type Refusal, refusalOf } from './zookeeper-error.ts'

/** One step of a `multi`. A `version` is above 0, see {@link Session.multi}; without one any version will do. */
export type Operation =
  | { readonly do: 'create'; readonly path: string; readonly data: Buffer }
  | { readonly do: 'set'; readonly path: string; readonly data: Buffer; readonly version?: number }
  | { readonly do: 'check'; readonly path: string; readonly version?: number }
  | { readonly do: 'remove'; readonly path: string; readonly version?: number }

/** All steps were done, `mtimeMs` being when by the server's clock, where a node was set; or none was, because of the one at `at`. */
export type MultiAnswer =
  | { readonly done: true; readonly mtimeMs: number | undefined }
  | { readonly done: false; readonly refusal: Refusal; readonly path: string }

/** The server's limit on a request is 1,048,575 bytes by default, and breaking it looks like a lost connection. */
const MOST_REQUEST_BYTES = 1_000_000

/** What a step has beside its path and its data: headers, ACL, version. */
const STEP_BYTES = 100

/** Refuses what the server would answer by cutting the connection. @throws ConfigError */
export function checkSize(operations: readonly Operation[]): void {
  const bytes = operations.reduce(
    (sum, { path, ...rest }) => sum + STEP_BYTES + Buffer.byteLength(path) + ('data' in rest ? rest.data.length : 0),
    0,
  )
  if (bytes <= MOST_REQUEST_BYTES) return
  throw new ConfigError(`A request of ${bytes} bytes to ${operations[0]?.path} is more than ZooKeeper takes (1 MB). Nothing was sent.`)
}

/** The callback's arguments of a `multi`. Throws `error` where that is a failure and no refusal. */
export function readMultiAnswer(error: unknown, results: unknown, operations: readonly Operation[]): MultiAnswer {
  const list = Array.isArray(results) ? (results as { readonly err?: number; readonly stat?: ZookeeperStat }[]) : []
  if (error) {
    const refusal = refusalOf(error)
    // The steps before the one that failed have no error, those after it have another.
    const at = list.findIndex(result => result.err !== undefined && result.err !== 0)
    const path = operations[at]?.path ?? operations[0]?.path ?? '/'
    if (refusal === undefined) throw error
    return { done: false, refusal, path }
  }
  const stat = list.findLast(result => result.stat !== undefined)?.stat
  return { done: true, mtimeMs: stat && mtimeOf(stat) }
}

/** When a node was written, ms by the server's clock. */
export function mtimeOf({ mtime }: ZookeeperStat): number {
  return Number(mtime.readBigInt64BE())
}
