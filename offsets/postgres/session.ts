import type { CallOptions } from '../../src/core/source.ts'
import { isConnectionLost, sqlState } from '../../src/util/postgres-error.ts'
import { borrowClient, CONNECT_WITHIN_MS, giveBack, type PostgresClient, type PostgresPool } from '../../src/util/postgres-pool.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import type { Sql } from './sql.ts'

/** The answer to one statement; every value is the text that the server sent, whatever parsers the caller's `pg` has. */
export type Answer = { readonly rows: readonly Readonly<Record<string, string | null>>[]; readonly rowCount: number | null }

/** Longer than a lock is waited for; who has not heard by then sits on a connection that died without a word. */
const ANSWER_WITHIN_MS = 15_000
/** One message to the server, in characters. A stream with a long history is restored by several. */
const MESSAGE_CHARS = 4_000_000

const AS_TEXT = { getTypeParser: () => (value: string) => value }

/** No connection came about, so nothing was sent; `cause` is why. */
export class CannotConnect extends Error {}

/** One connection of the pool, held for as long as a transaction takes. */
export class Session {
  readonly #client: PostgresClient

  constructor(client: PostgresClient) {
    this.#client = client
  }

  /** Sends all statements in one message, which is one round trip, and gives an answer for each. */
  async send(statements: readonly Sql[]): Promise<Answer[]> {
    const text = statements.map(statement => statement.text).join(';\n')
    const answers = (await this.#client.query({ text, types: AS_TEXT, query_timeout: ANSWER_WITHIN_MS })) as Answer | Answer[]
    return Array.isArray(answers) ? answers : [answers]
  }

  /** As {@link send}, by as many messages as it takes. */
  async sendAll(statements: readonly Sql[]): Promise<Answer[]> {
    const answers: Answer[] = []
    let [message, chars]: [Sql[], number] = [[], 0]
    for (const [index, statement] of statements.entries()) {
      message.push(statement)
      chars += statement.text.length
      if (chars < MESSAGE_CHARS && index < statements.length - 1) continue
      answers.push(...(await this.send(message)))
      message = []
      chars = 0
    }
    return answers
  }
}

/**
 * Lends a connection to `run`. One that is lost, or whose caller went away in the midst of something, is thrown away; one that failed gets its
 * transaction rolled back before somebody else has it. Throws {@link CannotConnect}, and what `run` throws.
 */
export async function withSession<T>(pool: PostgresPool, { signal }: CallOptions, run: (session: Session) => Promise<T>): Promise<T> {
  const client = await checkOut(pool, signal)
  let released = false
  const release = (destroy: boolean) => {
    if (released) return
    released = true
    giveBack(client, destroy)
  }
  const session = new Session(client)
  const leave = () => release(true)
  signal?.addEventListener('abort', leave, { once: true })
  try {
    // Who was aborted while the connection came would run on unheard, over a connection that is somebody else's by then.
    signal?.throwIfAborted()
    return await (signal === undefined ? run(session) : untilAborted(run(session), signal))
  } catch (error) {
    if (!released) release(!(await isUsableAfter(error, client)))
    throw error
  } finally {
    signal?.removeEventListener('abort', leave)
    release(false)
  }
}

async function checkOut(pool: PostgresPool, signal: AbortSignal | undefined): Promise<PostgresClient> {
  const connecting = borrowClient(pool)
  // A pool of the caller's waits for ever by default, be it for the server or for a connection that others hold.
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('timeout exceeded when trying to connect')), CONNECT_WITHIN_MS)
  try {
    const first = Promise.race([connecting, late.promise])
    return await (signal === undefined ? first : untilAborted(first, signal))
  } catch (error) {
    connecting.then(
      client => giveBack(client),
      () => {},
    )
    signal?.throwIfAborted()
    throw new CannotConnect('no connection', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

/** A server that turned read-only is left too: behind a name that moves with a fail-over, a new connection reaches the primary. */
async function isUsableAfter(error: unknown, client: PostgresClient): Promise<boolean> {
  if (isConnectionLost(error) || sqlState(error) === '25006') return false
  try {
    await client.query({ text: 'rollback', query_timeout: ANSWER_WITHIN_MS })
    return true
  } catch {
    return false
  }
}
