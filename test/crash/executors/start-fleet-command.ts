import type { NodeProcess } from '../../src/cli/node-process.ts'
import { program } from '../../support/programs/program.ts'
import { startTidemark } from '../../support/programs/start-tidemark.ts'
import { FLEET_JOB, type FleetCommand } from './fleet-commands.ts'

/** Starts a command of a fleet as a program, instead of from the sources: a job is imported again by every thread, and by each that takes its place. */
export function startFleetCommand({ args, env }: FleetCommand): NodeProcess {
  const [, , ...own] = args
  return startTidemark(
    own.map(arg => (arg === FLEET_JOB ? program('fleet-job').path : arg)),
    env,
  )
}
