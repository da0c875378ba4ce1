import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import type { Service } from '../../support/services/service.ts'
import { waitUntil } from '../../support/services/wait-until.ts'
import { type WalkingEnd, WalkingProcess } from '../../support/walking-process.ts'
import { driverCommand, executorCommand, stateOf } from './fleet-commands.ts'
import { endsOf } from './make-fleet.ts'
import type { FleetStream } from './plan.ts'
import type { FleetStep, FleetStrike } from './walk-plan.ts'

const FENCED = 4
/** What a command ends with that could not reach a server at its start. */
const NO_SERVER =
  /cannot be reached|dropped the connection|no answer|ECONNREFUSED|ECONNRESET|starting up|shutting down|not yet accepting|ended the connection/

/** How a driver or an executor may end by itself while what it needs comes and goes. */
function isExpected({ code, said }: WalkingEnd): boolean {
  return code === FENCED || (code === 1 && NO_SERVER.test(said.slice(said.lastIndexOf('tidemark: '))))
}

export function walkingFleetDriver(fleet: FleetStream, redis: string, onLine?: (line: string) => void): WalkingProcess {
  const command = driverCommand(fleet, '--executors', redis)
  return new WalkingProcess({ label: 'a driver with executors', ...command, isExpected, ...(onLine && { onLine }) })
}

export function walkingFleetExecutor(fleet: FleetStream, redis: string, threads: number, onLine?: (line: string) => void): WalkingProcess {
  const command = executorCommand(fleet, redis, threads)
  return new WalkingProcess({ label: `an executor of ${threads} threads`, ...command, isExpected, ...(onLine && { onLine }) })
}

/** A strike as it fell. */
export type FallenStrike = { readonly kind: FleetStrike['kind']; readonly wasInBatch: boolean }

/** A driver and its executors, all of them started again whenever they end, on a Redis that is the walk's own. */
export class FleetWalk implements AsyncDisposable {
  readonly driver: WalkingProcess
  readonly executors: readonly WalkingProcess[]
  readonly fallen: FallenStrike[] = []
  /** What all of them have said on stderr, line by line. */
  readonly said: string[] = []
  batches = 0
  readonly #fleet: FleetStream
  readonly #redis: Service
  readonly #wakings = new Set<Promise<void>>()

  constructor(fleet: FleetStream, redis: Service, threads: readonly number[]) {
    this.#fleet = fleet
    this.#redis = redis
    this.executors = threads.map(count => walkingFleetExecutor(fleet, redis.address, count, line => void this.said.push(line)))
    this.driver = walkingFleetDriver(fleet, redis.address, line => {
      this.said.push(line)
      if (line.includes('"batch completed"')) this.batches += 1
    })
  }

  /** Strikes when as many batches are through as the step says, and a moment into the next. */
  async take(step: FleetStep): Promise<void> {
    const from = this.batches
    await waitUntil(`${step.afterBatches} batches before the next: ${step.kind}`, async () => this.batches >= from + step.afterBatches, {
      timeoutMs: 120_000,
    })
    await sleep(step.delayMs)
    await waitUntil(
      'an executor and the driver run',
      async () => this.driver.isRunning && this.executors.some(({ isRunning }) => isRunning),
    )
    const { pending } = await stateOf(this.#fleet)
    this.fallen.push({ kind: step.kind, wasInBatch: pending !== undefined })
    await this.#strike(step)
  }

  /** Resolves when all that is in the topics is committed, and everybody has ended in good order. */
  async finish(): Promise<void> {
    await Promise.all(this.#wakings)
    const ends = await endsOf(this.#fleet)
    await waitUntil(
      'the fleet has committed its topics',
      async () => {
        const { offsets, pending } = await stateOf(this.#fleet)
        return pending === undefined && offsets.reduce((sum, { offset }) => sum + offset, 0) === ends
      },
      { timeoutMs: 180_000 },
    )
    await this.driver.end()
    await Promise.all(this.executors.map(executor => executor.end()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.driver, ...this.executors].map(process => process[Symbol.asyncDispose]()))
  }

  async #strike(strike: FleetStrike): Promise<void> {
    switch (strike.kind) {
      case 'kill executor':
        return this.#running(strike.executor).kill()
      case 'drain executor':
        return this.#running(strike.executor).stop()
      case 'pause executor':
        return this.#pause(this.#running(strike.executor), strike.forMs)
      case 'kill driver':
        return this.driver.kill()
      case 'pause driver':
        return this.#pause(this.driver, strike.forMs)
      case 'restart redis':
        await this.#redis.kill()
        await sleep(strike.downMs)
        return this.#redis.start()
      case 'empty redis':
        return emptyRedis(this.#redis.address)
      default:
        strike satisfies never
    }
  }

  /** The executor of this number, or the next that has not just been struck. */
  #running(number: number): WalkingProcess {
    const inTurn = [...this.executors.slice(number), ...this.executors.slice(0, number)]
    const found = inTurn.find(({ isRunning }) => isRunning)
    if (found === undefined) throw new Error('No executor runs that could be struck.')
    return found
  }

  /** Others go on meanwhile. */
  #pause(process: WalkingProcess, forMs: number): void {
    process.pause()
    const waking = sleep(forMs).then(() => {
      process.wake()
      this.#wakings.delete(waking)
    })
    this.#wakings.add(waking)
  }
}

export async function emptyRedis(url: string): Promise<void> {
  const client = new Redis(url)
  try {
    await client.flushall()
  } finally {
    client.disconnect()
  }
}
