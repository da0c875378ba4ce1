import { DecodeError } from '../../../src/core/errors.ts'
import { showPartition, type TopicPartition } from '../../../src/core/values.ts'

const HINT =
  'Read it again; if that gives the same, the bytes on the broker are damaged: ' +
  '`kafka-dump-log --deep-iteration` on each replica shows which of them is sound.'

/** The error of a batch whose bytes break the format. `offset` is the batch's first offset; `hint` says what to do next. */
export function batchDamage(
  at: TopicPartition,
  offset: number,
  what: string,
  options: { hint?: string; cause?: unknown } = {},
): DecodeError {
  const message = `${showPartition(at)}: the batch at offset ${offset} cannot be read: ${what}. ${options.hint ?? HINT}`
  return new DecodeError(message, { at: { topic: at.topic, partition: at.partition, offset }, cause: options.cause })
}
