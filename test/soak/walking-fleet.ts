import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { driverCommand } from '../crash/executors/fleet-commands.ts'
import { walkingFleetDriver, walkingFleetExecutor } from '../crash/executors/fleet-walk.ts'
import type { FleetStream } from '../crash/executors/plan.ts'
import type { WalkingProcess } from '../support/walking-process.ts'

/** The stream whose tasks run on executors: two drivers, of which one stands by, and executors of one and two threads. */
export class WalkingFleet {
  readonly drivers: readonly WalkingProcess[]
  readonly executors: readonly WalkingProcess[]
  readonly #fleet: FleetStream
  readonly #redis: string

  constructor(fleet: FleetStream, redis: string, executors: number) {
    this.#fleet = fleet
    this.#redis = redis
    this.executors = Array.from({ length: executors }, (_, at) => walkingFleetExecutor(fleet, redis, 1 + (at % 2)))
    this.drivers = [1, 2].map(() => walkingFleetDriver(fleet, redis))
  }

  /** Takes the stream to what is there now, when its drivers have ended and its executors have not. Gives what kept it from that. */
  async finish(): Promise<string | undefined> {
    const { args, env } = driverCommand(this.#fleet, '--executors', this.#redis, '--until', 'latest', '--steal')
    const driver = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_NO_WARNINGS: '1', ...env },
    })
    const [said, [code]] = await Promise.all([text(driver.stderr), once(driver, 'close')])
    return code === 0 ? undefined : said.slice(-2_000)
  }
}
