import type { Command } from 'commander'
import type { LetterFilter } from '../core/dead-letters/letter-filter.ts'
import { ConfigError } from '../core/errors.ts'
import { explainSeconds, parseTime, TIME_FORMS } from '../util/parse-time.ts'
import { parseCount } from './parse-count.ts'

/** Which letters a command is about. */
export type LetterFilterOptions = {
  readonly topic?: string
  readonly partition?: number
  readonly batch?: number
  readonly stage?: string
  readonly error?: string
  readonly errorCode?: string
  readonly from?: string
  readonly to?: string
}

export function addLetterFilters(command: Command): Command {
  return command
    .option('--topic <name>', 'only of this topic')
    .option('--partition <number>', 'only of this partition', parseCount('--partition', 0))
    .option('--batch <id>', 'only of this batch', parseCount('--batch'))
    .option('--stage <label>', 'only where this failed, such as "map (json)"')
    .option('--error <name>', 'only with an error of this name, such as SyntaxError')
    .option('--error-code <code>', 'only with an error of this code')
    .option('--from <time>', 'only records with timestamps from here on, such as 2026-11-01T00:00Z')
    .option('--to <time>', 'only records with timestamps before')
}

/** @throws ConfigError for a time that is none, or an end before its beginning */
export function letterFilterOf({ topic, partition, batch, stage, error, errorCode, from, to }: LetterFilterOptions): LetterFilter {
  const record_time =
    from === undefined && to === undefined ? undefined : { from: timeOf(from, '--from', 0), until: timeOf(to, '--to', NEVER) }
  if (record_time !== undefined && record_time.from >= record_time.until)
    throw new ConfigError(`--from ${from} is not before --to ${to}, so no letter is meant.`)
  return {
    ...(topic !== undefined && { topic }),
    ...(partition !== undefined && { partition }),
    ...(batch !== undefined && { batch }),
    ...(stage !== undefined && { stage }),
    ...(error !== undefined && { error_name: error }),
    ...(errorCode !== undefined && { error_code: errorCode }),
    ...(record_time !== undefined && { record_time }),
  }
}

const NEVER = Number.MAX_SAFE_INTEGER

function timeOf(text: string | undefined, option: string, otherwise: number): number {
  if (text === undefined) return otherwise
  const time = parseTime(text)
  if (time !== undefined) return time
  throw new ConfigError(`${option} ${text} ${explainSeconds(text) ?? `is not understood. It is ${TIME_FORMS}.`}`)
}
