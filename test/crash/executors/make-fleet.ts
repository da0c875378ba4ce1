import { mkdir } from 'node:fs/promises'
import { kafkaSource } from '../../../connectors/kafka/index.ts'
import type { KafkaAddress } from '../../support/cluster/kafka-cluster.ts'
import { comparePlaces, type Difference } from '../../support/compare-places.ts'
import { readAll } from '../../support/oracle.ts'
import { prepareOutput, readOutput } from '../matrix/read-output.ts'
import { asMatrix, type FleetFlow, type FleetOutput, type FleetStream } from './plan.ts'

export type FleetOptions = Pick<FleetStream, 'stream' | 'folder' | 'postgres'> & {
  readonly flows: readonly { readonly topic: string; readonly outputs: readonly FleetOutput['kind'][] }[]
} & Partial<Omit<FleetStream, 'flows'>>

/** A fleet's stream with a table for each output that needs one, and its folder. */
export async function makeFleet(kafka: KafkaAddress, options: FleetOptions): Promise<FleetStream> {
  const { stream } = options
  const flows = options.flows.map(
    ({ topic, outputs }, at): FleetFlow => ({
      topic,
      outputs: outputs.map(kind => ({ kind, target: `${stream}_${at}_${kind}`.replaceAll(/\W/g, '_') })),
    }),
  )
  const fleet: FleetStream = {
    ...{ brokers: kafka.brokers, recordsPerBatch: 200, recordsPerTask: 50, leaseTtlMs: 10_000, taskMs: 0, isHeld: false, exitEvery: 0 },
    ...options,
    flows,
  }
  await mkdir(fleet.folder, { recursive: true })
  for (const { topic, outputs } of flows) {
    for (const output of outputs) await prepareOutput(asMatrix(fleet, topic, output), kafka)
  }
  return fleet
}

/** Every record that an output holds as `partition:offset`, doubles included. `stdout` is what all executors have printed. */
export function readFleetOutput(
  fleet: FleetStream,
  kafka: KafkaAddress,
  topic: string,
  output: FleetOutput,
  stdout = '',
): Promise<string[]> {
  return readOutput(asMatrix(fleet, topic, output), kafka, stdout)
}

/** What sets each output of a fleet apart from what Java reads, by the output's kind. */
export async function compareFleet(
  fleet: FleetStream,
  kafka: KafkaAddress,
  byJava: ReadonlyMap<string, readonly string[]>,
): Promise<ReadonlyMap<FleetOutput['kind'], Difference>> {
  const differences = new Map<FleetOutput['kind'], Difference>()
  for (const { topic, outputs } of fleet.flows) {
    for (const output of outputs) {
      differences.set(output.kind, comparePlaces(await readFleetOutput(fleet, kafka, topic, output), byJava.get(topic) ?? []))
    }
  }
  return differences
}

/** What the Java client reads of a topic under read_committed, as {@link readFleetOutput} gives it, sorted as text. */
export async function placesByJava(kafka: KafkaAddress, topic: string): Promise<string[]> {
  return (await readAll(kafka, topic, 'read_committed')).map(({ partition, offset }) => `${partition}:${offset}`).sort()
}

/** Where the topics of a fleet end under read_committed, as the sum of all partitions' offsets. */
export async function endsOf({ brokers, flows }: FleetStream): Promise<number> {
  await using source = kafkaSource({ kafka: { brokers: [...brokers] }, topics: flows.map(({ topic }) => topic) })
  return (await source.latestOffsets()).reduce((sum, { offset }) => sum + offset, 0)
}
