import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { JOB_BRAND } from '../core/brands.ts'
import { errorMessage, isTidemarkError, JobError } from '../core/errors.ts'
import type { JobInternals, StreamJob } from '../streams/stream.ts'

/** A job with what the CLI needs of it. */
export type LoadedJob = { readonly job: StreamJob; readonly internals: JobInternals; readonly path: string }

/** Imports a job module. @throws JobError where there is none, it does not load, or its default export is no job */
export async function loadJob(path: string): Promise<LoadedJob> {
  const absolute = resolve(path)
  const found = await stat(absolute).catch(() => undefined)
  if (found === undefined) throw new JobError(`There is no job file ${path} (looked for ${absolute}).`)
  if (!found.isFile()) throw new JobError(`${path} is not a file. Name the module that exports the job.`)
  let module: { default?: unknown }
  try {
    module = await import(pathToFileURL(absolute).href)
  } catch (error) {
    throw explainLoadFailure(error, path)
  }
  const job = module.default
  const internals = typeof job === 'object' && job !== null ? (Reflect.get(job, JOB_BRAND) as JobInternals | undefined) : undefined
  if (internals === undefined) {
    const got = job === undefined ? 'it has no default export' : 'its default export is something else'
    throw new JobError(`${path} must export a job by default, and ${got}: export default stream({ name: '…' }).from(…).to(…)`)
  }
  return { job: job as StreamJob, internals, path: absolute }
}

function explainLoadFailure(error: unknown, path: string): unknown {
  // A wrong option in the job: it says itself what is wrong.
  if (isTidemarkError(error)) return error
  const code = (error as { code?: string }).code
  const text = errorMessage(error)
  if (code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX') {
    return new JobError(
      `${path} does not load: ${text}. Node runs TypeScript by leaving the types out, so enum, namespace and parameter properties cannot be used.`,
      { cause: error },
    )
  }
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_UNSUPPORTED_DIR_IMPORT') {
    return new JobError(`${path} does not load: ${text}. Imports of your own files carry their extension, as in './orders.ts'.`, {
      cause: error,
    })
  }
  if (error instanceof SyntaxError || code === 'ERR_INVALID_TYPESCRIPT_SYNTAX') {
    return new JobError(`${path} does not load: ${text}. (Node runs it as an ES module; in a CommonJS package name it .mts.)`, {
      cause: error,
    })
  }
  return new JobError(`${path} failed while it was loaded: ${text}`, { cause: error })
}
