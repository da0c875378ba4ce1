import type { StartingOffsets } from '../../../src/core/source.ts'
import type { MatrixStream, OutputKind } from '../matrix/plan.ts'

/** What an output of a fleet's job writes: of the matrix, or rows into a table by the job's own function, which promises no more than that none is lost. */
export type FleetOutput = { readonly kind: OutputKind | 'each'; readonly target: string }

/** A topic with the outputs it goes to. */
export type FleetFlow = { readonly topic: string; readonly outputs: readonly FleetOutput[] }

/** The job that a driver and its executors run: plain data for their processes. */
export type FleetStream = {
  readonly stream: string
  readonly flows: readonly FleetFlow[]
  readonly folder: string
  readonly brokers: readonly string[]
  readonly postgres: string
  readonly recordsPerBatch: number
  readonly recordsPerTask: number
  readonly leaseTtlMs: number
  /** How long a task works beside its rows, ms: so that whatever strikes meets tasks at work. */
  readonly taskMs: number
  /** Tasks say `held <epoch>` and wait until the gate is opened; see `gate.ts`. */
  readonly isHeld: boolean
  /** Where it begins where its store knows of no offset; earliest by default. */
  readonly startingOffsets?: StartingOffsets
  /** A task in so many ends its process when it first runs; 0 for none. */
  readonly exitEvery: number
}

/** An output of a fleet as the matrix knows it, for what opens, prepares and reads one. */
export function asMatrix(fleet: FleetStream, topic: string, { kind, target }: FleetOutput): MatrixStream {
  const { stream, folder, brokers, postgres, recordsPerBatch, leaseTtlMs } = fleet
  return {
    ...{ stream, folder, brokers, postgres, recordsPerBatch, leaseTtlMs, topic, target },
    // Rows of a function lie in a table like any other.
    output: kind === 'each' ? 'postgres append' : kind,
    ...{ store: 'sqlite', redis: '', zookeeper: '', until: 'latest', steal: false },
  }
}
