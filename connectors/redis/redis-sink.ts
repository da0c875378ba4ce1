import { AuthError, ConfigError } from '../../src/core/errors.ts'
import type { FenceMark, Guarantee, Rewritten, Sink, SinkContext } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import { checkRedisServer } from '../../src/util/check-redis-server.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import type { RedisTarget } from '../../src/util/redis-line.ts'
import { RedisConnection } from './connection.ts'
import { describeTarget } from './describe-target.ts'
import { hashTagOf, ledgerKeys } from './keys.ts'
import { fieldOf, Ledger, rangeText } from './ledger.ts'
import { type RedisSinkOptions, schemaFor } from './options.ts'
import { chunkRows, type RowChunk } from './row-chunks.ts'
import { type RowWriter, rowWriter } from './row-commands.ts'
import { APPLY, TRY } from './scripts.ts'

/** How many chunks are on their way at a time: the server works on one while the next are encoded and sent. */
const CHUNKS_AHEAD = 4

/**
 * Rows into Redis, exactly-once: as keys, hashes, entries of a stream or members of a sorted set. Rows go in by chunks, each in one script with the note
 * of how far its task is, so a chunk that is in is never applied again; a reader may see a part of a task. What Redis confirmed and then loses (no
 * append-only file, a fail-over) is lost to the output too, and the next start says so.
 *
 *     redisSink({ url: 'redis://localhost', hash: { key: (order: Order) => `order:${order.id}` } })
 *
 * On a Cluster only with `hashTag`; `at-least-once` without. Throws `ConfigError` for wrong options; connects only once the stream starts.
 */
export function redisSink<Row>(options: RedisSinkOptions<Row>): Sink<Row> {
  const { name, prefix, hashTag, log, string, hash, stream, sortedSet, deleteWhen, ...given } = parseOptions(
    schemaFor(options),
    options,
    'redisSink',
  )
  const kinds = { string, hash, stream, sortedSet, deleteWhen } as Parameters<typeof rowWriter>[0]
  const writer = rowWriter(kinds)
  const warn = (message: string) => (log === undefined ? process.emitWarning(message, 'TidemarkWarning') : log.warn({}, message))
  const at = given as RedisTarget
  return new RedisSink(writer, new RedisConnection(at), {
    name,
    prefix,
    hashTag,
    target: describeTarget(at, `${writer.kind} ${writer.fixedKey ?? 'by row'}, ledger under ${prefix}`),
    warn,
  })
}

type Settings = {
  readonly name: string | undefined
  readonly prefix: string
  readonly hashTag: string | undefined
  readonly target: string | undefined
  readonly warn: (message: string) => void
}

class RedisSink implements Sink<unknown> {
  readonly name: string
  readonly guarantee: Guarantee
  /** The last value of a key must be written last. */
  readonly ordering = 'partition'
  /** With a ledger: rows that one attempt has brought in are passed over by the other, chunk by chunk. */
  readonly allowsTwins: boolean
  readonly target?: string
  readonly rewritten: Rewritten
  readonly #writer: RowWriter
  readonly #connection: RedisConnection
  readonly #settings: Settings
  readonly #ledgers = new Map<string, Ledger>()

  constructor(writer: RowWriter, connection: RedisConnection, settings: Settings) {
    this.name = `redis:${settings.name ?? writer.fixedKey ?? writer.kind}`
    this.guarantee = connection.isCluster && settings.hashTag === undefined ? 'at-least-once' : 'exactly-once'
    this.rewritten =
      writer.kind === 'stream'
        ? { addsRows: true, sentence: 'added to the stream a second time' }
        : { addsRows: false, sentence: 'written over what is there under the same keys, also over newer values' }
    this.allowsTwins = this.guarantee === 'exactly-once'
    if (settings.target !== undefined) this.target = settings.target
    this.#writer = writer
    this.#connection = connection
    this.#settings = settings
  }

  async prepare(context: SinkContext): Promise<void> {
    const { client, address } = this.#connection
    // Over the way that every call takes: it says best what is wrong with address, TLS or login.
    await this.#connection.call('ping', [], context.signal)
    await checkRedisServer(client, address, 'fence and ledger of an output', this.#settings.warn)
    if (this.guarantee === 'at-least-once') return
    const { keys } = this.#ledgerOf(context)
    const commands = [...this.#writer.trial, ['HSET', 'a', 'b'], ['HDEL', 'a']] as const
    const args = commands.flatMap(([name, ...values]) => [String(values.length), name, ...values])
    const refused = await this.#connection.run(TRY, [keys.trial], args, context.signal)
    if (!Array.isArray(refused)) return
    throw new AuthError(`${address} does not let this user run ${refused[0]}, which output ${context.output} needs: ${refused[1]}`, {
      details: { command: refused[0], output: context.output },
    })
  }

  async open(context: SinkContext): Promise<void> {
    this.#ledgerOf(context).streamId = context.streamId
  }

  async fence(mark: FenceMark): Promise<void> {
    if (this.guarantee === 'exactly-once') await this.#ledgerOf(mark).raise(mark)
  }

  async applied(task: Task): Promise<boolean> {
    return this.guarantee === 'exactly-once' && (await this.#ledgerOf(task).progressOf(task)).isAll
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    signal.throwIfAborted()
    if (this.guarantee === 'exactly-once') await this.#writeOnce(task, rows, signal)
    else await this.#writeAgain(task, rows, signal)
  }

  async close(): Promise<void> {
    this.#connection.close()
    this.#ledgers.clear()
  }

  async #writeOnce(task: Task, rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal): Promise<void> {
    const ledger = this.#ledgerOf(task)
    const { rows: from, isAll } = await ledger.progressOf(task)
    if (isAll) return
    const answers: Promise<void>[] = []
    const send = (chunk: RowChunk, isLast: boolean) => {
      const answer = this.#apply(ledger, task, chunk, isLast, signal)
      // Awaited in its turn; until then it must not be an unhandled rejection.
      answer.catch(() => {})
      answers.push(answer)
    }
    let held: RowChunk | undefined
    // One is held back, for the last says that it is the last.
    for await (const chunk of chunkRows(rows, from, task, this.#writer, key => this.#checkKey(key))) {
      if (held !== undefined) send(held, false)
      held = chunk
      if (answers.length >= CHUNKS_AHEAD) await answers.shift()
      signal.throwIfAborted()
    }
    await Promise.all(answers)
    if (held !== undefined) send(held, true)
    await answers.at(-1)
  }

  async #apply(ledger: Ledger, task: Task, chunk: RowChunk, isLast: boolean, signal: AbortSignal): Promise<void> {
    const { fence, ledger: entries } = ledger.keys
    const about = [
      task.epoch,
      task.batchId,
      fieldOf(task),
      rangeText(task.range),
      chunk.from,
      chunk.until,
      isLast ? 1 : 0,
      this.#writer.type,
      ledger.streamId,
    ]
    const answer = await this.#connection.run(APPLY, [fence, entries, ...chunk.keys], [...about.map(String), ...chunk.args], signal)
    const [reason, what, found] = (answer as unknown[]).map(String)
    if (reason === 'written' || reason === 'applied') return
    // A twin sent these rows first. Only where it has not all of them, or has more to say, is there something left to do.
    if (reason === 'rows' && Number(what) >= chunk.until && !isLast) return
    if (reason === 'type') {
      throw new ConfigError(
        `Key ${what} of ${this.#connection.address} holds a ${found}, and output ${task.output} writes a ${this.#writer.type}. Nothing of these rows ` +
          'was written. Take the key away, or give the rows another.',
        { details: { key: what, found, task } },
      )
    }
    await ledger.refuse(task, answer as unknown[])
  }

  /** Without a ledger: each command where its key lives. */
  async #writeAgain(task: Task, rows: AsyncIterable<readonly unknown[]>, signal: AbortSignal): Promise<void> {
    for await (const { keys, args } of chunkRows(rows, 0, task, this.#writer, () => {})) {
      const answers: Promise<unknown>[] = []
      for (let at = 0; at < args.length; ) {
        const count = Number(args[at + 1])
        const key = keys[Number(args[at]) - 3] ?? ''
        answers.push(this.#connection.call(String(args[at + 2]), [key, ...args.slice(at + 3, at + 3 + count)], signal))
        at += 3 + count
      }
      await Promise.all(answers)
    }
  }

  #checkKey(key: string): void {
    const { hashTag } = this.#settings
    if (hashTag === undefined || hashTagOf(key) === hashTag) return
    throw new Error(
      `its key ${key} does not carry the output's hash tag, {${hashTag}}, so a Cluster may keep it on another node than the ledger`,
    )
  }

  #ledgerOf({ stream, output }: { readonly stream: string; readonly output: string }): Ledger {
    const id = JSON.stringify([stream, output])
    let ledger = this.#ledgers.get(id)
    if (ledger === undefined) {
      const { prefix, hashTag } = this.#settings
      ledger = new Ledger(
        this.#connection,
        ledgerKeys(prefix, stream, output, hashTag),
        `Output ${this.name} of ${this.#connection.address}`,
      )
      this.#ledgers.set(id, ledger)
    }
    return ledger
  }
}
