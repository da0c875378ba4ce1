import { createHash } from 'node:crypto'

const LONGEST_NAME = 200
const HASHED = '%sha256-'

/** Where everything lies. */
export type Layout = {
  /** A child a stream: its head. */
  readonly streams: string
  /** A child a stream, and under it one a generation of it: everything that is not the head. */
  readonly data: string
}

/** The nodes of one stream. */
export type StreamPaths = {
  readonly head: string
  /** Written for its time alone: what the server's clock says now. */
  readonly data: string
}

/**
 * The nodes of one generation of a stream, from the acquire or the restore that made it to its removal. Its name is random, so that nobody who knew
 * a stream of this name before can write into it: each write checks that `lease` is there, which goes in the same transaction as the head.
 */
export type GenerationPaths = {
  readonly folder: string
  /** Empty. Its time is when the lease was granted or renewed. */
  readonly lease: string
  /** There while a restore fills the generation. Who removes it decides: the restore's last transaction, or a sweep. */
  readonly building: string
  /** The newest history entries. */
  readonly tail: string
  /** Chunks of older history entries, never changed. */
  readonly history: string
  /** Values too large for the head or a chunk, never changed. */
  readonly blobs: string
  /** A child a blob of several parts that no head points to yet. Who removes it decides: the write that points to the blob, or a sweep. */
  readonly staged: string
}

/** The two folders under `base`. */
export function layoutOf(base: string): Layout {
  return { streams: `${base}/streams`, data: `${base}/data` }
}

export function pathsOf({ streams, data }: Layout, stream: string): StreamPaths {
  const name = nodeNameOf(stream)
  return { head: `${streams}/${name}`, data: `${data}/${name}` }
}

export function generationOf({ data }: StreamPaths, generation: string): GenerationPaths {
  const folder = `${data}/${generation}`
  const inside = (name: string) => `${folder}/${name}`
  return {
    folder,
    lease: inside('lease'),
    building: inside('building'),
    tail: inside('tail'),
    history: inside('history'),
    blobs: inside('blobs'),
    staged: inside('staged'),
  }
}

/**
 * Any text as the name of one node: as in a URL, and hashed where that is long; the head has the whole name. No escaped text begins like a hashed one,
 * for a percent sign is followed by two digits there.
 */
export function nodeNameOf(stream: string): string {
  const escaped = encodeURIComponent(stream).replace(/^\.{1,2}$/, dots => dots.replaceAll('.', '%2E'))
  if (escaped.length <= LONGEST_NAME) return escaped
  return HASHED + createHash('sha256').update(stream).digest('hex')
}

/** The stream that a node is named after; undefined where only its head can tell. */
export function streamNamed(node: string): string | undefined {
  return node.startsWith(HASHED) ? undefined : decodeURIComponent(node)
}
