import { channel } from 'node:diagnostics_channel'
import type { z } from 'zod'
import { ConfigError } from '../core/errors.ts'
import { describeProblem, expectedForm } from './describe-problem.ts'

/** Tells whoever listens of every schema that options are checked by, `{ where, schema }`: the page of all options is made from them. */
export const optionsChannel = channel('tidemark:options')

/**
 * Checks and completes options where they enter, once, so that no code further in needs a default or a doubt.
 *
 * Throws one `ConfigError` with every mistake, one a line, each with its path, its value (unless it can be a secret) and what is accepted:
 * the schema's own error text where it has one, else `.describe()`, else zod's knowledge of the type. Unknown options are mistakes in a
 * `z.strictObject`, with the nearest known name. `where` is what was called, such as `jsonlSink`. Schemas must be synchronous.
 */
export function parseOptions<Schema extends z.ZodType>(schema: Schema, value: unknown, where: string): z.output<Schema> {
  optionsChannel.publish({ where, schema })
  const parsed = schema.safeParse(value, { error: expectedForm })
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.flatMap(issue => describeProblem(issue, schema, value))
  const message =
    problems.length === 1 ? `${where}: ${problems[0]}` : `${where}: ${problems.length} options are wrong:\n  ${problems.join('\n  ')}`
  throw new ConfigError(message, { details: { where, problems } })
}
