import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import type { StreamState } from '../../../src/core/offset-store.ts'
import type { FleetStream } from './plan.ts'

const script = fileURLToPath(new URL('../../src/cli/tidemark-child.ts', import.meta.url))
/** The job of every fleet. */
export const FLEET_JOB = fileURLToPath(new URL('./fleet-job.ts', import.meta.url))

/** A `tidemark` command on the job of a fleet, from the sources. */
export type FleetCommand = { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> }

/** `tidemark run`, with its tasks on executors, or in threads of its own. */
export function driverCommand(fleet: FleetStream, ...args: readonly string[]): FleetCommand {
  return command(fleet, ['run', FLEET_JOB, ...args], '')
}

/** `tidemark backfill`, with its tasks on executors. */
export function backfillCommand(fleet: FleetStream, redis: string, ...args: readonly string[]): FleetCommand {
  return command(fleet, ['backfill', FLEET_JOB, '--executors', redis, '--yes', ...args], '')
}

/** `tidemark executor`, which strikes where `strike` says. */
export function executorCommand(fleet: FleetStream, redis: string, threads = 1, strike = ''): FleetCommand {
  return command(fleet, ['executor', FLEET_JOB, '--executors', redis, '--threads', String(threads)], strike)
}

function command(fleet: FleetStream, args: readonly string[], strike: string): FleetCommand {
  return { args: ['--conditions=tidemark-source', script, ...args], env: { FLEET: JSON.stringify(fleet), STRIKE: strike } }
}

/** The fleet's stream as its store has it. */
export async function stateOf({ folder, stream }: FleetStream): Promise<StreamState> {
  await using store = sqliteOffsets({ path: join(folder, 'offsets.db') })
  return await store.read(stream)
}
