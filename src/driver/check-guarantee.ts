import { ConfigError } from '../core/errors.ts'
import type { Guarantee } from '../core/sink.ts'
import type { DriverJob } from './driver-job.ts'

const WEAKEST_FIRST = ['at-least-once', 'idempotent', 'exactly-once'] as const

/** A stream's guarantee is that of its weakest output. What an output promises may weaken once it has seen its server. */
export function weakestGuarantee(outputs: Iterable<{ readonly sink: { readonly guarantee: Guarantee } }>): Guarantee {
  const guarantees = new Set(Array.from(outputs, ({ sink }) => sink.guarantee))
  return WEAKEST_FIRST.find(guarantee => guarantees.has(guarantee)) ?? 'exactly-once'
}

/** Refuses outputs weaker than the stream demands, by name: before anything connects, and again when the outputs are open. */
export function checkGuarantee(job: Pick<DriverJob, 'stream' | 'outputs' | 'demanded'>): void {
  const { demanded } = job
  const isWeaker = (guarantee: Guarantee) => demanded !== undefined && WEAKEST_FIRST.indexOf(guarantee) < WEAKEST_FIRST.indexOf(demanded)
  const weaker = [...job.outputs.values()].filter(({ sink }) => isWeaker(sink.guarantee))
  if (weaker.length === 0) return
  throw new ConfigError(
    `Stream ${job.stream} demands guarantee '${demanded}', and ${weaker.map(({ name, sink }) => `output ${name} is '${sink.guarantee}'`).join(', ')}. ` +
      `Choose other outputs, or lower the demand.`,
  )
}
