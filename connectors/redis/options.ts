import { z } from 'zod'
import type { Log } from '../../src/core/log.ts'
import type { RedisClient } from '../../src/util/redis-client.ts'
import { bringsClient, withRedisConnection } from '../../src/util/redis-connection-options.ts'

/** What a field, a value or a member may be: numbers are written as text. */
export type RedisContent = string | number | Buffer

/** A row is a key: its value is replaced whole. */
export type RedisString<Row> = {
  readonly key: (row: Row) => string
  /** @default the row's JSON */
  readonly value?: (row: Row) => RedisContent
  /** How long a key stays, ms. @default for ever */
  readonly ttlMs?: number
}

/** A row is a hash: its fields are replaced whole. */
export type RedisHash<Row> = {
  readonly key: (row: Row) => string
  /** Fields that are null or undefined are left out. @default the row's own, those that are objects as JSON */
  readonly fields?: (row: Row) => Readonly<Record<string, RedisContent | null | undefined>>
}

/** A row is an entry at the end of a stream. */
export type RedisStream<Row> = {
  readonly key: string | ((row: Row) => string)
  /** @default the row's own, those that are objects as JSON */
  readonly fields?: (row: Row) => Readonly<Record<string, RedisContent | null | undefined>>
  /** About how many entries the stream keeps (`MAXLEN ~`). @default all */
  readonly maxLength?: number
}

/** A row is a member of a sorted set: its score is replaced. */
export type RedisSortedSet<Row> = {
  readonly key: string | ((row: Row) => string)
  readonly member: (row: Row) => RedisContent
  readonly score: (row: Row) => number
}

type Target<Row> =
  | { readonly string: RedisString<Row>; readonly hash?: never; readonly stream?: never; readonly sortedSet?: never }
  | { readonly hash: RedisHash<Row>; readonly string?: never; readonly stream?: never; readonly sortedSet?: never }
  | {
      readonly stream: RedisStream<Row>
      readonly string?: never
      readonly hash?: never
      readonly sortedSet?: never
      readonly deleteWhen?: never
    }
  | { readonly sortedSet: RedisSortedSet<Row>; readonly string?: never; readonly hash?: never; readonly stream?: never }

/** What `redisSink` takes: where Redis is, and what a row becomes. */
export type RedisSinkOptions<Row> = (
  | { readonly url: string | undefined; readonly client?: never }
  /** A `Redis` or `Cluster` of ioredis that the caller has already and closes. */
  | { readonly client: RedisClient; readonly url?: never }
) &
  Target<Row> & {
    /** A row for which this gives something true takes its key, or its member, away. */
    readonly deleteWhen?: (row: Row) => unknown
    /** What messages and the ledger call the output, behind `redis:`. @default the key where it is one for all rows, else the kind */
    readonly name?: string
    /** What the keys of fence and ledger begin with. @default 'tidemark' */
    readonly prefix?: string
    /**
     * On a Cluster: the hash tag that every key of this output carries, such as `orders` for `{orders}:7`. Rows and ledger are then on one node and
     * in one step; without it an output on a Cluster is `at-least-once`.
     */
    readonly hashTag?: string
    /** Told once where the server may lose what it confirmed. @default warnings of the process */
    readonly log?: Log
  }

const ofRow = (what: string) =>
  z.custom<(row: never) => unknown>(value => typeof value === 'function', { error: `expected a function of the row that gives ${what}` })
const keyOrFunction = z.union([z.string().min(1), ofRow('the key')], { error: 'expected a key, or a function of the row that gives one' })
const wholeFrom = (least: number, unit: string) =>
  z
    .number()
    .int()
    .min(least, { error: `expected a whole number of ${unit} from ${least}` })
const text = z
  .string()
  .min(1)
  .refine(given => given.isWellFormed(), { error: 'expected text without lone surrogates' })

const kinds = {
  string: z
    .strictObject({ key: ofRow('the key'), value: ofRow('the value').optional(), ttlMs: wholeFrom(1, 'milliseconds').optional() })
    .optional(),
  hash: z.strictObject({ key: ofRow('the key'), fields: ofRow('the fields').optional() }).optional(),
  stream: z
    .strictObject({ key: keyOrFunction, fields: ofRow('the fields').optional(), maxLength: wholeFrom(1, 'entries').optional() })
    .optional(),
  sortedSet: z.strictObject({ key: keyOrFunction, member: ofRow('the member'), score: ofRow('the score, a number') }).optional(),
}

const common = {
  ...kinds,
  deleteWhen: ofRow('something true where it deletes').optional(),
  name: text.optional(),
  hashTag: text.refine(tag => !/[{}]/.test(tag), { error: 'expected the text between the braces, without them' }).optional(),
}

const connected = withRedisConnection(common)
const byUrl = oneKind(connected.byUrl)
const byClient = oneKind(connected.byClient)

/** The form that the options are meant to have, so that a mistake is told against that one. */
export function schemaFor(options: unknown): typeof byUrl | typeof byClient {
  return bringsClient(options) ? byClient : byUrl
}

function oneKind<Shape extends z.ZodType<{ readonly [kind in keyof typeof kinds]?: unknown } & { readonly deleteWhen?: unknown }>>(
  shape: Shape,
) {
  return shape.superRefine((options, context) => {
    const given = Object.keys(kinds).filter(kind => options[kind as keyof typeof kinds] !== undefined)
    if (given.length !== 1) {
      const list = Object.keys(kinds).join(', ')
      const found = given.length === 0 ? 'none is given' : `there are ${given.join(' and ')}`
      context.addIssue({ code: 'custom', path: [given[1] ?? 'string'], message: `expected exactly one of ${list}, and ${found}` })
    }
    if (options.stream !== undefined && options.deleteWhen !== undefined) {
      context.addIssue({ code: 'custom', path: ['deleteWhen'], message: 'expected none: an entry of a stream is not taken away again' })
    }
  })
}
