import { z } from 'zod'
import type { RedisClient } from '../../src/util/redis-client.ts'
import { bringsClient, withRedisConnection } from '../../src/util/redis-connection-options.ts'
import type { RedisTls } from '../../src/util/redis-line.ts'
import { checkTls, tlsOption } from './tls.ts'

/** Where the Redis of a job's executors is. */
export type BullmqConnection = (
  | {
      readonly url: string | undefined
      /** Of a `rediss:` URL: `{ ca, cert, key, passphrase, servername }`, as PEM. @default Node's own authorities */
      readonly tls?: RedisTls | undefined
      readonly client?: never
    }
  /** A `Redis` or `Cluster` of ioredis that the caller has already and closes. Queues get duplicates of it. */
  | { readonly client: RedisClient; readonly url?: never; readonly tls?: never }
) & {
  /** What all keys begin with: the same for a job's driver and its executors. @default 'tidemark' */
  readonly prefix?: string
}

/** What `bullmq` takes: where Redis is, and how work is given out. */
export type BullmqOptions = BullmqConnection & {
  /** How large the ranges that go to an executor as one piece of work may become, bytes of JSON. Not their records: those never come here. @default 1 MiB */
  readonly maxMessageBytes?: number
  /**
   * What becomes of a piece of work that takes over 1.5 × the median once three quarters of a batch are done: `twin` gives it to a second executor too,
   * where every output it writes to allows that, and the first to end counts; `wait` waits. @default 'twin'
   */
  readonly stragglers?: 'twin' | 'wait'
}

const connection = withRedisConnection({})
const executor = withRedisConnection({
  maxMessageBytes: z
    .number()
    .int()
    .min(4_096, { error: 'expected a whole number of bytes from 4096' })
    .max(64 * 1024 * 1024, { error: 'expected at most 64 MiB: Redis holds every message in memory' })
    .default(1024 * 1024),
  stragglers: z.enum(['twin', 'wait'], { error: "expected 'twin' or 'wait'" }).default('twin'),
})
const forms = {
  connection: {
    byUrl: connection.byUrl.omit({ log: true }).extend(tlsOption).superRefine(checkTls),
    byClient: connection.byClient.omit({ log: true }),
  },
  executor: {
    byUrl: executor.byUrl.omit({ log: true }).extend(tlsOption).superRefine(checkTls),
    byClient: executor.byClient.omit({ log: true }),
  },
}

/** The form that the options of `bullmq` are meant to have, so that a mistake is told against that one. */
export function executorSchema(options: unknown): typeof forms.executor.byUrl | typeof forms.executor.byClient {
  return bringsClient(options) ? forms.executor.byClient : forms.executor.byUrl
}

/** The same for those who only need the connection. */
export function connectionSchema(options: unknown): typeof forms.connection.byUrl | typeof forms.connection.byClient {
  return bringsClient(options) ? forms.connection.byClient : forms.connection.byUrl
}
