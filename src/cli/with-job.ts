import type { OffsetStore } from '../core/offset-store.ts'
import type { DriverJob } from '../driver/driver-job.ts'
import { type LoadedJob, loadJob } from './load-job.ts'
import { openStore } from './open-store.ts'

/** A job as a command works on it. */
export type OpenJob = {
  readonly loaded: LoadedJob
  /** The store that stands in for the job's own; undefined where that is the one. */
  readonly named: OffsetStore | undefined
  /** The job over whichever of the two, as a driver takes it. */
  readonly job: DriverJob
}

/** Loads a job with the store that a command is about, and closes both, and the job's sources, when `use` returns. */
export async function withJob<T>(path: string, options: { readonly store?: string }, use: (open: OpenJob) => Promise<T> | T): Promise<T> {
  const loaded = await loadJob(path)
  const named = await openStore(loaded, options.store)
  const job = loaded.internals.compile(named === undefined ? {} : { offsets: named })
  try {
    return await use({ loaded, named, job })
  } finally {
    await loaded.internals.close(named)
  }
}
