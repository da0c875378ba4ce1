import { ConfigError } from '../core/errors.ts'
import type { OffsetStore } from '../core/offset-store.ts'
import { openNamedStore } from './open-store.ts'
import { withJob } from './with-job.ts'

/** How a command names a stream: by its job, or by its name and store where only those are known. */
export type StreamOptions = { readonly store?: string; readonly stream?: string }

/** A stream in its store, without anything of Kafka or of its outputs. */
export type OpenStream = { readonly stream: string; readonly store: OffsetStore }

/** Opens what `<job>` or `--stream` with `--store` names, and closes it when `use` returns. */
export async function withStream<T>(path: string | undefined, options: StreamOptions, use: (open: OpenStream) => Promise<T>): Promise<T> {
  if (path === undefined) {
    if (options.stream === undefined) throw new ConfigError('Which stream? Name its job, or --stream with --store.')
    const store = await openNamedStore(options.store)
    try {
      return await use({ stream: options.stream, store })
    } finally {
      await store.close()
    }
  }
  return withJob(path, options, ({ job: { store, stream } }) => use({ stream: options.stream ?? stream, store }))
}
