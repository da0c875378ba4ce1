import { expect } from 'vitest'
import type { NodeProcess } from '../../src/cli/node-process.ts'
import { backfillCommand, driverCommand, executorCommand } from './fleet-commands.ts'
import type { FleetStream } from './plan.ts'
import { startFleetCommand } from './start-fleet-command.ts'

/** A driver of the fleet that runs tasks on executors; by default it ends with what is there. */
export function startDriver(fleet: FleetStream, redis: string, args: readonly string[] = ['--until', 'latest']): NodeProcess {
  return startFleetCommand(driverCommand(fleet, '--executors', redis, ...args))
}

/** A backfill of the fleet's stream, whose tasks run on executors. */
export function startBackfill(fleet: FleetStream, redis: string, ...args: readonly string[]): NodeProcess {
  return startFleetCommand(backfillCommand(fleet, redis, ...args))
}

/** An executor of the fleet with one thread, which strikes where `strike` says. */
export function startExecutor(fleet: FleetStream, redis: string, strike = ''): NodeProcess {
  return startFleetCommand(executorCommand(fleet, redis, 1, strike))
}

/** Tells executors to finish what they have in hand, which each does. */
export async function drain(...executors: readonly NodeProcess[]): Promise<void> {
  for (const executor of executors) executor.signal('SIGTERM')
  for (const executor of executors) {
    const { code, stderr } = await executor.ended
    expect(code, stderr).toBe(0)
  }
}
