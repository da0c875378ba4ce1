import type { NextBatch } from '../driver/inspect-job.ts'
import type { LoadedJob } from './load-job.ts'
import { withJob } from './with-job.ts'

/** Options that every command which looks at a job has. */
export type InspectOptions = { readonly store?: string; readonly json?: boolean }

/** Loads a job and looks at where it stands, without a lease and without writing; everything is closed when `use` returns. */
export async function withInspection(
  path: string,
  options: InspectOptions,
  use: (found: NextBatch, loaded: LoadedJob) => void,
): Promise<void> {
  await withJob(path, options, async ({ loaded, named }) => {
    const offsets = named === undefined ? {} : { offsets: named }
    use(await loaded.internals.inspect({ ...offsets, signal: AbortSignal.timeout(60_000) }), loaded)
  })
}
