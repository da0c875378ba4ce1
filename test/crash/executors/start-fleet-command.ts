import type { NodeProcess } from '../../src/cli/node-process.ts'
import { TidemarkProcess } from '../../src/cli/tidemark-process.ts'
import { program } from '../../support/programs/program.ts'
import { FLEET_JOB, type FleetCommand } from './fleet-commands.ts'

/** Starts a command of a fleet as a program, instead of from the sources: a job is imported again by every thread, and by each that takes its place. */
export function startFleetCommand({ args, env }: FleetCommand): NodeProcess {
  const [, , ...own] = args
  return new TidemarkProcess(
    own.map(arg => (arg === FLEET_JOB ? program('fleet-job').path : arg)),
    { env },
  )
}
