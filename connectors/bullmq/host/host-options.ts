import { z } from 'zod'
import type { Executor } from '../../../src/core/executor.ts'
import type { Log } from '../../../src/core/log.ts'
import type { RedisClient } from '../../../src/util/redis-client.ts'
import { bringsClient, withRedisConnection } from '../../../src/util/redis-connection-options.ts'
import type { RedisTls } from '../../../src/util/redis-line.ts'
import { checkTls, tlsOption } from '../tls.ts'

/** What `serveTasks` takes: where the Redis is over which drivers find this executor, and what runs the tasks here. */
export type ServeOptions = (
  | {
      readonly url: string | undefined
      /** Of a `rediss:` URL: `{ ca, cert, key, passphrase, servername }`, as PEM. @default Node's own authorities */
      readonly tls?: RedisTls | undefined
      readonly client?: never
    }
  /** A `Redis` or `Cluster` of ioredis that the caller has already and closes. BullMQ is given connections like it of its own. */
  | { readonly client: RedisClient; readonly url?: never; readonly tls?: never }
) & {
  /**
   * What runs the tasks here: `threads({ size })`, so that a task that blocks its thread holds up no heartbeat and no lock, or `inProcess()`, whose tasks must
   * not keep the thread for as long as `lockMs`.
   */
  readonly executor: Executor
  /** How many packs of ranges it takes at a time: as many as `executor` has threads. */
  readonly slots: number
  /** What the keys in Redis begin with; the driver's must be the same. @default 'tidemark' */
  readonly prefix?: string
  /** How long a pack stays this executor's when nothing is heard of it any more, ms. @default 3000 */
  readonly lockMs?: number
  /**
   * How long a pack may stand still (no bytes, no rows) before it is left to others, ms: more than your functions take for 16 rows, or a write of your own for
   * one array of them. @default 60_000
   */
  readonly stallMs?: number
  /** How much a pack's report may weigh, as JSON: rows that an output gathers on the driver go through Redis. Long errors are cut to it. @default 8 MiB */
  readonly maxReportBytes?: number
  /** @default says nothing */
  readonly log?: Log
}

const whole = (least: number, unit: string) =>
  z
    .number()
    .int()
    .min(least, { error: `expected a whole number of ${unit} from ${least}` })

const executor = z.custom<Executor>(
  value => typeof value === 'object' && value !== null && 'start' in value && typeof value.start === 'function',
  {
    error: 'expected what runs tasks here: threads({ size }) or inProcess()',
  },
)

const forms = withRedisConnection({
  executor,
  slots: whole(1, 'packs'),
  lockMs: whole(500, 'milliseconds').default(3_000),
  stallMs: whole(1_000, 'milliseconds').default(60_000),
  maxReportBytes: whole(65_536, 'bytes').default(8 * 1024 * 1024),
})

const byUrl = forms.byUrl.extend(tlsOption).superRefine(checkTls)
const { byClient } = forms

export type CompleteServeOptions = z.output<typeof byUrl> | z.output<typeof byClient>

/** The form that the options are meant to have, so that a mistake is told against that one. */
export function schemaFor(options: unknown): typeof byUrl | typeof byClient {
  return bringsClient(options) ? byClient : byUrl
}
