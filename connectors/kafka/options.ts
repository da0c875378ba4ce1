import { z } from 'zod'
import type { Isolation, StartingOffsets } from '../../src/core/source.ts'
import { kafkajsInput } from '../../src/util/kafkajs-input.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import type { KafkajsInput } from './transport/kafkajs-transport.ts'

export type KafkaSourceOptions = {
  /** kafkajs' configuration (brokers, ssl, sasl, clientId, …), or a `Kafka` made of it. */
  readonly kafka: KafkajsInput
  /** Topic names, or a regular expression that names are tested against; internal topics never match one. */
  readonly topics: readonly string[] | RegExp
  /** A name for the cluster, so that its topics are others than those of the same names elsewhere: `orders` is then `<alias>:orders`. @default none */
  readonly alias?: string
  /** @default 'read_committed' */
  readonly isolation?: Isolation
  /** Where to begin in partitions that the store has no offset for. @default { at: 'earliest' } */
  readonly startingOffsets?: StartingOffsets
  /**
   * A consumer group that is told every committed position, so that Kafka's own tools show the stream's lag. Nothing reads it back, and what fails
   * there is logged and never stops the stream. The group must have no members. @default none
   */
  readonly alsoCommitToGroup?: string
  /** How old the knowledge of leaders and partitions may be, ms. @default 30_000 */
  readonly metadataMaxAgeMs?: number
  /** The most bytes that one fetch asks for. A batch that is larger comes whole all the same. @default 8 MiB */
  readonly fetchMaxBytes?: number
  /** The most bytes that all fetches of this source hold at a time. @default 64 MiB */
  readonly maxBytesInFlight?: number
  /** The most that one batch of records may decompress to; a larger one is refused as a bomb. @default 256 MiB */
  readonly maxDecompressedBatchBytes?: number
}

const MIB = 1_048_576

const bytes = (least: number) =>
  z
    .number({ error: `a whole number of bytes from ${least}` })
    .int()
    .min(least, { error: `a whole number of bytes from ${least}` })
    .max(2 ** 31 - 1, { error: 'at most 2147483647 bytes' })

const offset = z
  .number({ error: 'an offset: a whole number from 0' })
  .int()
  .min(0, { error: 'an offset: a whole number from 0' })
  .max(Number.MAX_SAFE_INTEGER)
const timestamp = z.number({ error: 'milliseconds since 1970' }).int({ error: 'milliseconds since 1970' })
const topic = z.string().min(1, { error: 'the name of a topic' })
const partition = z.number().int().min(0, { error: 'a partition: a whole number from 0' })
const STARTS =
  "{ at: 'earliest' | 'latest' }, { at: 'committed', group }, { at: 'timestamp', timestamp, noMatch? }, { at: 'exact', offsets } or { at: 'each', partitions }"

const startingOffsets = z.discriminatedUnion(
  'at',
  [
    z.strictObject({ at: z.literal('earliest') }),
    z.strictObject({ at: z.literal('latest') }),
    z.strictObject({ at: z.literal('committed'), group: z.string().min(1, { error: 'the name of a consumer group' }) }),
    z.strictObject({ at: z.literal('timestamp'), timestamp, noMatch: z.enum(['fail', 'latest']).optional() }),
    z.strictObject({ at: z.literal('exact'), offsets: z.array(z.looseObject({ topic, partition, offset })) }),
    z.strictObject({
      at: z.literal('each'),
      partitions: z.array(
        z.strictObject({
          topic,
          partition,
          start: z.union([z.enum(['earliest', 'latest']), z.strictObject({ offset }), z.strictObject({ timestamp })], {
            error: "'earliest', 'latest', { offset } or { timestamp }",
          }),
        }),
      ),
    }),
  ],
  { error: STARTS },
)

const schema = z.strictObject({
  kafka: kafkajsInput<KafkajsInput>(),
  topics: z.union([z.array(topic).min(1), z.instanceof(RegExp)], {
    error: "a list of topic names, such as ['orders'], or a regular expression",
  }),
  alias: z
    .string()
    .regex(/^[A-Za-z0-9._-]+$/, { error: 'a name of letters, digits, dots, dashes and underscores' })
    .optional(),
  isolation: z.enum(['read_committed', 'read_uncommitted'], { error: "'read_committed' or 'read_uncommitted'" }).default('read_committed'),
  startingOffsets: startingOffsets.default({ at: 'earliest' }),
  alsoCommitToGroup: z.string().min(1, { error: 'the name of a consumer group' }).optional(),
  metadataMaxAgeMs: z.number().int().min(100, { error: 'a whole number of milliseconds from 100' }).default(30_000),
  fetchMaxBytes: bytes(1024).default(8 * MIB),
  maxBytesInFlight: bytes(1024).default(64 * MIB),
  maxDecompressedBatchBytes: bytes(1024).default(256 * MIB),
})

/** A source's options with every default in. */
export type CompleteKafkaSourceOptions = Omit<Required<KafkaSourceOptions>, 'startingOffsets' | 'alias' | 'alsoCommitToGroup'> & {
  readonly alias: string | undefined
  readonly alsoCommitToGroup: string | undefined
  readonly startingOffsets: StartingOffsets
}

/** Checks and completes a source's options. @throws ConfigError listing every mistake with its path */
export function completeOptions(options: KafkaSourceOptions): CompleteKafkaSourceOptions {
  const complete = parseOptions(schema, options, 'kafkaSource')
  const { topics } = complete
  return {
    ...complete,
    alias: complete.alias,
    alsoCommitToGroup: complete.alsoCommitToGroup,
    topics: topics instanceof RegExp ? topics : [...new Set(topics)],
    startingOffsets: complete.startingOffsets as StartingOffsets,
  }
}
