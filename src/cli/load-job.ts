import { stat } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { JOB_BRAND } from '../core/brands.ts'
import { JobError } from '../core/errors.ts'
import type { JobInternals, StreamJob } from '../streams/stream.ts'
import { explainLoadFailure } from './explain-load-failure.ts'

/** A job with what the CLI needs of it. */
export type LoadedJob = { readonly job: StreamJob; readonly internals: JobInternals; readonly path: string }

const EXAMPLE = "export default stream({ name: '…' }).from(…).to(…)"

/** Imports a job module. @throws JobError where there is none, it does not load, or its default export is no job */
export async function loadJob(path: string): Promise<LoadedJob> {
  const absolute = resolve(path)
  const found = await stat(absolute).catch(() => undefined)
  if (found === undefined) throw new JobError(`There is no job file ${path} (looked for ${absolute}).`)
  if (!found.isFile()) throw new JobError(`${path} is not a file. Name the module that exports the job.`)
  if (!/^\.[cm]?[jt]s$/.test(extname(absolute))) {
    throw new JobError(`${path} is not a module. A job is a .ts, .mts, .js or .mjs file with ${EXAMPLE}`)
  }
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(absolute).href)
  } catch (error) {
    throw explainLoadFailure(error, path)
  }
  const job = module.default
  const internals = typeof job === 'object' && job !== null ? (Reflect.get(job, JOB_BRAND) as JobInternals | undefined) : undefined
  if (internals === undefined) throw new JobError(`${path} must export a job by default, and ${whatInstead(job)}: ${EXAMPLE}`)
  return { job: job as StreamJob, internals, path: absolute }
}

function whatInstead(exported: unknown): string {
  if (exported === undefined) return 'it has no default export'
  const isFlow = typeof exported === 'object' && exported !== null && 'to' in exported && 'forEachBatch' in exported
  if (isFlow) return 'its default export is a flow that ends nowhere; .to(sink), .forEachRange(…) or .forEachBatch(…) ends it'
  return 'its default export is something else'
}
