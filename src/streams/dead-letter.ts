import type { DeadLetter } from '../core/dead-letters/dead-letter.ts'
import { ConfigError } from '../core/errors.ts'
import type { Sink } from '../core/sink.ts'

const BRAND = Symbol.for('tidemark.dead-letters.v1')

/** Where the records go that a function of the job fails on: an output of its own, with its own ledger. Made by {@link deadLetter}. */
export type DeadLetterPolicy = { readonly sink: Sink<DeadLetter>; readonly name: string }

/**
 * Puts records that a per-row function of the job fails on aside, each as a {@link DeadLetter} with its original bytes, its place, the error and the
 * outputs that go without it, and goes on:
 *
 *     stream({ name: 'orders', onRecordError: deadLetter(postgresSink({ connectionString, table: 'orders_dead_letters' })) })
 *
 * The letters are an output of the stream, under the sink's own guarantee and with a ledger of its own.
 *
 * @throws ConfigError for what is no sink
 */
export function deadLetter(sink: Sink<DeadLetter>, { name }: { readonly name?: string } = {}): DeadLetterPolicy {
  if (typeof sink?.write !== 'function') {
    throw new ConfigError(
      `deadLetter() takes a sink, such as jsonlSink({ directory: 'dead-letters' }) of 'tidemark/files', and got ${String(sink)}.`,
    )
  }
  if (name === '')
    throw new ConfigError('deadLetter: name is empty. It is the name of an output, by default deadletters:<the sink’s name>.')
  return Object.defineProperty({ sink, name: name ?? `deadletters:${sink.name}` }, BRAND, { value: true })
}

export function isDeadLetterPolicy(value: unknown): value is DeadLetterPolicy {
  return typeof value === 'object' && value !== null && BRAND in value
}
