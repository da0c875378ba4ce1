import { ConfigError } from '../core/errors.ts'
import { release, retain } from '../core/shared-resources.ts'
import { type BackfillPlan, doubledOutputs, planBackfill, settleBackfill } from '../driver/backfill/plan-backfill.ts'
import { checkGuarantee } from '../driver/check-guarantee.ts'
import { Driver } from '../driver/driver.ts'
import type { DriverJob } from '../driver/driver-job.ts'
import { type BackfillOptions, completeBackfill } from './backfill-options.ts'
import type { Run, StartOptions } from './run.ts'

/** A run of a backfill. */
export interface BackfillRun extends Run {
  /** What it was going to do when it began. */
  readonly plan: BackfillPlan
}

/** Gives a job as its driver has it, by another name and with some of its outputs. */
export type Compile = (options: StartOptions) => DriverJob

/** Works out what a backfill would do, and leaves everything as it is; `weigh` reads a little to say what it weighs. */
export async function planJobBackfill(
  compile: Compile,
  options: BackfillOptions,
  { weigh }: { readonly weigh: boolean },
): Promise<BackfillPlan> {
  const { asked, name, maxRate, whatIsLeft } = completeBackfill(options)
  const job = compile(liveOptions(options))
  return keepingOpen(job, () => {
    // Letters come beside whatever was asked for: a backfill that a bad record stopped is the same one when the job puts such records aside by now.
    const outputs = Array.from(job.outputs.values()).flatMap(({ name, isDeadLetters }) => (isDeadLetters ? [] : [name]))
    return planBackfill(job, { ...asked, outputs }, { name, maxRate, whatIsLeft, weigh, signal: new AbortController().signal })
  })
}

/** Plans a backfill and runs it. */
export async function startJobBackfill(compile: Compile, options: BackfillOptions): Promise<BackfillRun> {
  const { appendAgain } = completeBackfill(options)
  // From the plan to the run nothing is closed: to open it all twice would take as long again.
  return keepingOpen(compile(liveOptions(options)), async () => {
    const plan = await planJobBackfill(compile, options, { weigh: false })
    const doubled = doubledOutputs(plan)
    if (doubled.length > 0 && !appendAgain && !plan.isComplete) throw new ConfigError(explainDoubled(plan, doubled))
    return runPlannedBackfill(compile, plan, options)
  })
}

/** Runs a backfill as its plan says. */
export async function runPlannedBackfill(compile: Compile, plan: BackfillPlan, options: BackfillOptions): Promise<BackfillRun> {
  const { name, maxRate } = plan
  const compiled = compile({ ...liveOptions(options), name })
  const { initialRate: _, ...limits } = compiled.options.limits
  const job: DriverJob = {
    ...compiled,
    options: {
      ...compiled.options,
      // The past is there: nothing is gained by waiting for a tick, and back-pressure is for what comes in.
      batchIntervalMs: 0,
      backpressure: 'off',
      limits: { ...limits, ...(maxRate !== undefined && { maxRate }) },
    },
  }
  checkGuarantee(job)
  const { adopt } = options
  const driver = new Driver(job, { backfill: settleBackfill(job, plan), ...(adopt !== undefined && { adopt }) })
  await driver.started
  return Object.assign(driver, { plan })
}

/** The ways out of a refusal, as whoever asked says them: options of a call or of a command. */
export type WaysOut = { readonly again: string; readonly without: string; readonly untilLive: string }

const IN_CODE: WaysOut = { again: 'set appendAgain: true', without: 'name the others in outputs', untilLive: "say to: 'live'" }

/** Why a backfill is not run that would write rows a second time. */
export function explainDoubled({ overlaps }: BackfillPlan, outputs: readonly string[], ways = IN_CODE): string {
  const others = overlaps.map(({ stream, committed, toCome }) => {
    const has = committed > 0 ? `has written ${committed.toLocaleString('en-US')}` : ''
    const will = toCome > 0 ? `has yet to write ${toCome.toLocaleString('en-US')}` : ''
    return `${stream} ${[has, will].filter(text => text !== '').join(' and ')}`
  })
  return (
    `Nothing was run: ${outputs.join(', ')} would hold rows twice. Of the same offsets ${others.join(', ')}. If that is what you want, ${ways.again}; to ` +
    `leave an output out, ${ways.without}; to end where the live stream began, ${ways.untilLive}.`
  )
}

function liveOptions({ outputs, offsets, executor, module, listeners, log }: BackfillOptions): StartOptions {
  return {
    ...(outputs !== undefined && { outputs }),
    ...(offsets !== undefined && { offsets }),
    ...(executor !== undefined && { executor }),
    ...(module !== undefined && { module }),
    ...(listeners !== undefined && { listeners }),
    ...(log !== undefined && { log }),
  }
}

/** Closes what was opened meanwhile, unless a run of the job still uses it. */
async function keepingOpen<T>({ store, sources }: DriverJob, use: () => Promise<T>): Promise<T> {
  const resources = [store, ...sources.map(({ source }) => source)]
  for (const resource of resources) retain(resource)
  try {
    return await use()
  } finally {
    for (const resource of resources.toReversed()) await release(resource)
  }
}
