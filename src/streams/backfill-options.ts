import { z } from 'zod'
import { ConfigError } from '../core/errors.ts'
import type { Asked, BackfillFrom, BackfillTo } from '../driver/backfill/asked.ts'
import { parseFrom, parseTo } from '../driver/backfill/parse-bound.ts'
import { parseOptions } from '../util/parse-options.ts'
import type { StartOptions } from './run.ts'

/** What a backfill is to be, and where it runs. */
export type BackfillOptions = Pick<StartOptions, 'outputs' | 'adopt' | 'offsets' | 'executor' | 'module' | 'listeners' | 'log'> & {
  /**
   * Where it begins. As text: `earliest`, a date (in UTC), a time with a zone, milliseconds since 1970, `topic:partition:offset,…`, or `batch:17`, where
   * that batch of the live stream began.
   */
  readonly from: BackfillFrom | string
  /**
   * Where it ends, which is not part of it. As text like `from`, `latest` for what is there at the first start, or `live`: where the live stream began, so
   * that the two have every record once.
   */
  readonly to: BackfillTo | string
  /** Only records whose own timestamps are between `from` and `to`. @default false: all records of the offsets between the first ones that reach them */
  readonly exactTime?: boolean
  /** With `exactTime`: looks for records that came late, up to the first one that is this much behind `to`, ms. @default 0 */
  readonly lateMs?: number
  /** The stream it runs as. @default the next free `<stream>~backfill-<number>`, or that of one that was asked the same and is not complete */
  readonly name?: string
  /** Records a second over the whole job. @default as fast as it goes */
  readonly maxRate?: number
  /** Also into outputs that hold rows twice then, because another stream of the job writes them too. @default false */
  readonly appendAgain?: boolean
  /** Goes on with what is left where retention has taken records of the window before the backfill began. @default false */
  readonly whatIsLeft?: boolean
}

const timestamp = z.strictObject({ at: z.literal('timestamp'), timestamp: z.number() })
const exact = z.strictObject({
  at: z.literal('exact'),
  offsets: z
    .array(
      z.object({
        topic: z.string().min(1),
        partition: z.int().nonnegative(),
        offset: z.int().nonnegative(),
        topicId: z.string().optional(),
        leaderEpoch: z.number().optional(),
      }),
    )
    .min(1),
})
const batch = z.strictObject({ at: z.literal('batch'), batch: z.int().positive() })
const place = "a text such as '2026-11-20', or { at: 'timestamp', timestamp }, { at: 'exact', offsets }, { at: 'batch', batch }"

const schema = z.object({
  from: z.union([z.string(), z.strictObject({ at: z.literal('earliest') }), timestamp, exact, batch], {
    error: `where it begins: 'earliest', ${place} or { at: 'earliest' }`,
  }),
  to: z.union([z.string(), z.strictObject({ at: z.enum(['latest', 'live']) }), timestamp, exact, batch], {
    error: `where it ends: 'latest', 'live', ${place}, { at: 'latest' } or { at: 'live' }`,
  }),
  exactTime: z.boolean().default(false),
  lateMs: z
    .int({ error: 'a whole number of milliseconds from 0' })
    .nonnegative({ error: 'a whole number of milliseconds from 0' })
    .default(0),
  name: z.string().min(1, { error: 'the name of a stream, a non-empty text' }).optional(),
  maxRate: z.number({ error: 'records a second above 0' }).positive({ error: 'records a second above 0' }).optional(),
  appendAgain: z.boolean().default(false),
  whatIsLeft: z.boolean().default(false),
})

/** What was asked of a backfill, complete. */
export type CompleteBackfill = Pick<BackfillOptions, 'name' | 'maxRate'> & {
  readonly asked: Omit<Asked, 'outputs'>
  readonly appendAgain: boolean
  readonly whatIsLeft: boolean
}

/** Checks and completes a backfill's options. Throws `ConfigError` listing every mistake. */
export function completeBackfill(options: BackfillOptions): CompleteBackfill {
  if (typeof options !== 'object' || options === null) throw new ConfigError('backfill() takes { from, to }: where it begins and ends.')
  const { from, to, exactTime, lateMs, name, maxRate, ...rest } = parseOptions(schema, options, 'backfill')
  return {
    asked: {
      from: (typeof from === 'string' ? parseFrom(from) : from) as BackfillFrom,
      to: (typeof to === 'string' ? parseTo(to) : to) as BackfillTo,
      ...{ exactTime, lateMs },
    },
    ...(name !== undefined && { name }),
    ...(maxRate !== undefined && { maxRate }),
    ...rest,
  }
}
