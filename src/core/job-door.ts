import { JOB_BRAND } from './brands.ts'
import { errorMessage, isTidemarkError, JobError } from './errors.ts'
import type { RunnableJob } from './runnable-job.ts'

/** Which run of a job: under which name, and with which of its outputs. */
export type RunnableOptions = { readonly stream?: string; readonly outputs?: readonly string[] }

/** What a thread or an executor asks of a job, which may be of another copy of this package. */
export type JobDoor = { readonly name: string; readonly runnable: (options?: RunnableOptions) => RunnableJob }

/** Says that this thread or process imports a job in order to run its tasks; a job that is started meanwhile would start itself for ever. */
const EXECUTING = Symbol.for('tidemark.executing.v1')

export function isExecuting(): boolean {
  return EXECUTING in globalThis
}

/** From here on this thread imports jobs to run their tasks, and a module that starts its job gets an error that says so. */
export function markExecuting(): void {
  Object.defineProperty(globalThis, EXECUTING, { value: true, configurable: true })
}

/** What a job shows to executors; undefined for anything else. */
export function doorOf(job: unknown): JobDoor | undefined {
  return typeof job === 'object' && job !== null ? (Reflect.get(job, JOB_BRAND) as JobDoor | undefined) : undefined
}

/**
 * Imports the job that a module exports under any name, to run its tasks in this thread.
 *
 * Throws `JobError` where the module does not load or exports no such job.
 */
export async function importJob(module: string, name: string): Promise<JobDoor> {
  markExecuting()
  let exported: Record<string, unknown>
  try {
    exported = await import(module)
  } catch (error) {
    if (isTidemarkError(error)) throw error
    throw new JobError(`${module} failed while a thread or an executor loaded it for job ${name}: ${errorMessage(error)}`, { cause: error })
  }
  const doors = [exported.default, ...Object.values(exported)].map(doorOf)
  const door = doors.find(candidate => candidate?.name === name)
  if (door !== undefined) return door
  throw new JobError(
    `${module} exports no job named ${name}. Threads and other executors import the job from the module that calls stream(), so it must be exported there: ` +
      `export default stream({ name: '${name}', … })…. Where another module exports it, start it with start({ module: import.meta.url }) of that one.`,
    { details: { module, name } },
  )
}
