import { ConfigError } from '../core/errors.ts'
import type { Guarantee } from '../core/sink.ts'
import type { DriverJob } from './driver-job.ts'

const WEAKEST_FIRST = ['at-least-once', 'idempotent', 'exactly-once'] as const

/** A stream's guarantee is that of its weakest output. */
export function weakestGuarantee(guarantees: readonly Guarantee[]): Guarantee {
  return WEAKEST_FIRST.find(guarantee => guarantees.includes(guarantee)) ?? 'exactly-once'
}

/** Refuses outputs weaker than the stream demands, by name, before anything connects. */
export function checkGuarantee(job: Pick<DriverJob, 'stream' | 'outputs'>, demanded: Guarantee | undefined): void {
  const isWeaker = (guarantee: Guarantee) => demanded !== undefined && WEAKEST_FIRST.indexOf(guarantee) < WEAKEST_FIRST.indexOf(demanded)
  const weaker = [...job.outputs.values()].filter(({ sink }) => isWeaker(sink.guarantee))
  if (weaker.length === 0) return
  throw new ConfigError(
    `Stream ${job.stream} demands guarantee '${demanded}', and ${weaker.map(({ name, sink }) => `output ${name} is '${sink.guarantee}'`).join(', ')}. ` +
      `Choose other outputs, or lower the demand.`,
  )
}
