/** The keys of one stream. They share a hash tag, and so a slot and a node of a cluster: one script may touch them all. */
export type StreamKeys = {
  /** Hash: epoch, lease, ids, version; see `stored-head.ts`. A stream is there when this is. */
  readonly head: string
  /** Hash: `<partition>:<topic>` to `{ offset, topicId?, leaderEpoch? }`. */
  readonly offsets: string
  /** String: the begun batch, as JSON. */
  readonly pending: string
  /** Sorted set by `seq`: entries of kind `batch` and `discard`, trimmed. */
  readonly history: string
  /** Sorted set by `seq`: entries of kind `start` and `reset`, kept for ever. */
  readonly marks: string
  /** Where every command that writes is tried. */
  readonly trial: string
  /** Where a restore lays a history down before it counts. */
  readonly staged: (part: 'history' | 'marks', id: string) => string
}

/**
 * Redis hashes what stands between the first `{` and the next `}` of a key, so braces in names would cut the tag short or move it. With `:` escaped in
 * the stream's name, `a:b` + `c` and `a` + `b:c` have different keys.
 */
export function streamKeys(prefix: string, stream: string): StreamKeys {
  const tag = `{${escapeBraces(prefix)}:${escapeBraces(stream).replaceAll(':', '%3A')}}`
  return {
    head: `${tag}:head`,
    offsets: `${tag}:offsets`,
    pending: `${tag}:pending`,
    history: `${tag}:history`,
    marks: `${tag}:marks`,
    trial: `${tag}:trial`,
    staged: (part, id) => `${tag}:staged:${part}:${id}`,
  }
}

/** Set: who made which stream; see `stream-index.ts`. */
export function indexKey(prefix: string): string {
  return `{${escapeBraces(prefix)}}:streams`
}

function escapeBraces(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('{', '%7B').replaceAll('}', '%7D')
}
