import { escapeRedisName } from '../../src/util/escape-redis-name.ts'

/** Where Redis keeps what an output has applied. With rows of their own hash tag (`hashTag`) all of it is on one node of a Cluster. */
export type LedgerKeys = {
  /** Hash: stream id, epoch, owner, last batch begun, last batch complete. */
  readonly fence: string
  /** Hash: `<batch>:<task>` to `<rows applied> <1 where that is all> <range>`. */
  readonly ledger: string
  /** A key to try the rights on. */
  readonly trial: string
}

/** The keys of one output of one stream. Braces and colons in names are escaped, so that no two outputs share a key. */
export function ledgerKeys(prefix: string, stream: string, output: string, hashTag: string | undefined): LedgerKeys {
  const names = `${escapeRedisName(prefix)}:${escapeRedisName(stream)}:${escapeRedisName(output)}`
  const tagged = hashTag === undefined ? `{${names}}` : `{${hashTag}}:${names}`
  return { fence: `${tagged}:fence`, ledger: `${tagged}:ledger`, trial: `${tagged}:trial` }
}

/** The part of a key that a Cluster hashes: between the first `{` and the next `}`, where there is something; else all of it. */
export function hashTagOf(key: string): string {
  const from = key.indexOf('{') + 1
  const until = key.indexOf('}', from)
  return from > 0 && until > from ? key.slice(from, until) : key
}
