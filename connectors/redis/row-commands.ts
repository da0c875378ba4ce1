import { RecordError } from '../../src/core/errors.ts'
import { showRange, type Task } from '../../src/core/values.ts'
import { showValue } from '../../src/util/show-value.ts'
import type { RedisContent, RedisHash, RedisSortedSet, RedisStream, RedisString } from './options.ts'

/** A command of one row as it goes to the server, without its key: `['SET', value]`. */
export type RowCommand = readonly [name: string, ...args: (string | Buffer)[]]

/** What a row becomes: commands for one key. */
export type RowWrite = { readonly key: string; readonly commands: readonly RowCommand[] }

/** The most values a command may have: Lua's `unpack` overflows its stack at 8,000. */
const MAX_VALUES = 4_000

type Kinds = {
  readonly string?: RedisString<never> | undefined
  readonly hash?: RedisHash<never> | undefined
  readonly stream?: RedisStream<never> | undefined
  readonly sortedSet?: RedisSortedSet<never> | undefined
  readonly deleteWhen?: ((row: never) => unknown) | undefined
}

/** How an output writes its rows. */
export type RowWriter = {
  readonly kind: 'string' | 'hash' | 'stream' | 'sortedSet'
  /** The type that Redis gives the output's keys. */
  readonly type: 'string' | 'hash' | 'stream' | 'zset'
  /** The key, where all rows share one. */
  readonly fixedKey: string | undefined
  /** Every command it sends, once, for a key made to try the rights on. */
  readonly trial: readonly RowCommand[]
  /** @throws Error saying what is wrong with the row */
  readonly write: (row: unknown) => RowWrite
}

/** Makes the writer of an output from its options, of which exactly one kind is given. */
export function rowWriter({ string, hash, stream, sortedSet, deleteWhen }: Kinds): RowWriter {
  const isDeleted = deleteWhen as ((row: unknown) => unknown) | undefined
  if (string !== undefined) {
    const { key, value = toJson, ttlMs } = string as RedisString<unknown>
    const expiry = ttlMs === undefined ? [] : ['PX', String(ttlMs)]
    return {
      ...{ kind: 'string', type: 'string', fixedKey: undefined, trial: [['SET', 'a', ...expiry], ['DEL']] },
      write: row => ({ key: keyOf(key, row), commands: isDeleted?.(row) ? [['DEL']] : [['SET', content(value(row), 'value'), ...expiry]] }),
    }
  }
  if (hash !== undefined) {
    const { key, fields = ownFields } = hash as RedisHash<unknown>
    return {
      ...{ kind: 'hash', type: 'hash', fixedKey: undefined, trial: [['DEL'], ['HSET', 'a', 'b']] },
      // Replaced whole: a field that a row no longer has would stay otherwise.
      write: row => ({ key: keyOf(key, row), commands: isDeleted?.(row) ? [['DEL']] : [['DEL'], ...hashCommands(fields(row))] }),
    }
  }
  if (stream !== undefined) {
    const { key, fields = ownFields, maxLength } = stream as RedisStream<unknown>
    const limit = maxLength === undefined ? [] : ['MAXLEN', '~', String(maxLength)]
    return {
      ...{
        kind: 'stream',
        type: 'stream',
        fixedKey: typeof key === 'string' ? key : undefined,
        trial: [['XADD', ...limit, '*', 'a', 'b']],
      },
      write: row => ({ key: keyOf(key, row), commands: [['XADD', ...limit, '*', ...streamFields(fields(row))]] }),
    }
  }
  if (sortedSet === undefined) throw new Error('no kind is given')
  const { key, member, score } = sortedSet as RedisSortedSet<unknown>
  return {
    ...{
      kind: 'sortedSet',
      type: 'zset',
      fixedKey: typeof key === 'string' ? key : undefined,
      trial: [
        ['ZADD', '1', 'a'],
        ['ZREM', 'a'],
      ],
    },
    write: row => {
      const name = content(member(row), 'member')
      return { key: keyOf(key, row), commands: isDeleted?.(row) ? [['ZREM', name]] : [['ZADD', scoreText(score(row)), name]] }
    },
  }
}

/** A row that cannot be written, told with its place in the task. */
export function refusedRow(error: unknown, row: number, { stream, batchId, output, range }: Task): RecordError {
  const { topic, partition, fromOffset, untilOffset } = range
  const reason = (error instanceof Error ? error.message : String(error)).replace(/\.$/, '')
  return new RecordError(
    `Row ${row + 1} of ${showRange(range)} (batch ${batchId}, output ${output}) cannot be written: ${reason}. ` +
      'Mend it in a map() before this output, or leave it out with a filter().',
    { details: { stream, batchId, output, topic, partition, fromOffset, untilOffset, row: row + 1 }, cause: error },
  )
}

function keyOf(key: string | ((row: unknown) => unknown), row: unknown): string {
  const given = typeof key === 'string' ? key : key(row)
  if (typeof given === 'string' && given !== '') return given
  throw new Error(`its key is ${showValue(given)}; a key is a text that is not empty`)
}

function content(given: unknown, what: string): string | Buffer {
  if (typeof given === 'string' || Buffer.isBuffer(given)) return given
  if (typeof given === 'number' && !Number.isNaN(given)) return String(given)
  throw new Error(`its ${what} is ${showValue(given)}; expected text, a number or a Buffer`)
}

function scoreText(given: unknown): string {
  if (typeof given === 'number' && !Number.isNaN(given)) return given === Infinity ? '+inf' : given === -Infinity ? '-inf' : String(given)
  throw new Error(`its score is ${showValue(given)}; expected a number`)
}

function hashCommands(fields: unknown): RowCommand[] {
  const pairs = pairsOf(fields)
  const commands: RowCommand[] = []
  for (let at = 0; at < pairs.length; at += MAX_VALUES) commands.push(['HSET', ...pairs.slice(at, at + MAX_VALUES)])
  return commands
}

function streamFields(fields: unknown): (string | Buffer)[] {
  const pairs = pairsOf(fields)
  if (pairs.length === 0) throw new Error('it has no fields, and an entry of a stream has one at least')
  if (pairs.length > MAX_VALUES)
    throw new Error(`it has ${pairs.length / 2} fields, and an entry of a stream may have ${MAX_VALUES / 2} here`)
  return pairs
}

function pairsOf(fields: unknown): (string | Buffer)[] {
  if (typeof fields !== 'object' || fields === null) throw new Error(`its fields are ${showValue(fields)}; expected an object`)
  const given = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  return given.flatMap(([name, value]) => [name, content(value, `field ${name}`)])
}

/** A row's own fields; what has no text of its own goes as JSON. */
function ownFields(row: unknown): Readonly<Record<string, RedisContent | null | undefined>> {
  if (typeof row !== 'object' || row === null) throw new Error(`it is ${showValue(row)}; without a fields function a row is an object`)
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, isContent(value) ? value : toJson(value)]))
}

function isContent(value: unknown): value is RedisContent | null | undefined {
  return value === null || value === undefined || typeof value === 'string' || typeof value === 'number' || Buffer.isBuffer(value)
}

function toJson(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text !== undefined) return text
  throw new Error(`it is ${showValue(value)}, which has no JSON`)
}
