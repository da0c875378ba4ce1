import type { Clock } from '../../src/core/clock.ts'
import { AuthError, errorMessage } from '../../src/core/errors.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { describePostgresError, isConnectionLost, type PostgresPlace, sqlState } from '../../src/util/postgres-error.ts'
import { untilAborted } from '../../src/util/until-aborted.ts'
import { borrowPool, type OpenPool, openPool } from './open-pool.ts'
import type { CompleteOptions } from './options.ts'
import { areTablesMissing, hasTables, prepareTables } from './prepare-tables.ts'
import { CannotConnect, type Session, withSession } from './session.ts'

/** How long a call that lost its connection tries to send itself again. */
const RESEND_FOR_MS = 5_000
const RESEND_AFTER_MS = 50

/**
 * The store's connections: a pool, opened on first use, over tables that are looked at once. A call whose connection breaks is sent again for a short
 * while, whatever became of it; that it may be, each call sees to itself.
 */
export class PostgresConnection {
  readonly schema: string
  readonly #options: CompleteOptions
  readonly #clock: Clock
  #open: Promise<OpenPool> | undefined
  #prepared: Promise<void> | undefined

  constructor(options: CompleteOptions, clock: Clock) {
    this.schema = options.schema
    this.#options = options
    this.#clock = clock
  }

  /** Runs `use` with the tables made. `isResend` says that an attempt before may have written already. */
  write<T>(options: CallOptions, use: (session: Session, isResend: boolean) => Promise<T>): Promise<T> {
    return this.#attempt(options, async ({ pool, place }, isResend) => {
      await this.#prepare(options, pool, place)
      return withSession(pool, options, session => use(session, isResend))
    })
  }

  /** Runs `use`, which only reads. No table is made: where they are missing, undefined is the answer. */
  read<T>(options: CallOptions, use: (session: Session) => Promise<T>): Promise<T | undefined> {
    return this.#attempt(options, ({ pool }) =>
      withSession(pool, options, async session => {
        if (this.#prepared === undefined) {
          if (!(await hasTables(session, this.schema))) return undefined
          this.#prepared = Promise.resolve()
        }
        return use(session)
      }),
    )
  }

  /** Ends what was opened here; the next call opens it again. */
  async close(): Promise<void> {
    const open = this.#open
    this.#open = undefined
    this.#prepared = undefined
    if (open === undefined) return
    const { pool } = await open
    if (this.#options.pool === undefined) await pool.end()
    else pool.off('error', ignoreError)
  }

  /** Shared by all calls that come before it is done, and so bound to none of their signals. */
  #prepare({ signal }: CallOptions, pool: OpenPool['pool'], place: PostgresPlace): Promise<void> {
    this.#prepared ??= withSession(pool, {}, async session => {
      if (!(await hasTables(session, this.schema))) await prepareTables(session, this.schema, place)
    }).catch(error => {
      this.#prepared = undefined
      throw error
    })
    return signal === undefined ? this.#prepared : untilAborted(this.#prepared, signal)
  }

  async #attempt<T>(options: CallOptions, run: (open: OpenPool, isResend: boolean) => Promise<T>): Promise<T> {
    options.signal?.throwIfAborted()
    let giveUpAt = Number.POSITIVE_INFINITY
    let hasPrepared = false
    for (let waitMs = RESEND_AFTER_MS; ; waitMs *= 2) {
      const open = await this.#openPool()
      try {
        return await run(open, giveUpAt < Number.POSITIVE_INFINITY)
      } catch (thrown) {
        options.signal?.throwIfAborted()
        const error = thrown instanceof CannotConnect ? thrown.cause : thrown
        if (areTablesMissing(error) && !hasPrepared) {
          // Somebody dropped them, or migrated them to a newer version: looking at them again tells.
          this.#prepared = undefined
          hasPrepared = true
          continue
        }
        // Where no connection came about at first, the server is away and the caller hears of it at once. One that broke may come back.
        const isFirst = giveUpAt === Number.POSITIVE_INFINITY
        const isAway = isFirst && thrown instanceof CannotConnect
        if (isAway || !isPassing(error) || this.#clock.monotonic() > giveUpAt) throw this.#describe(error, open.place)
        if (isFirst) giveUpAt = this.#clock.monotonic() + RESEND_FOR_MS
      }
      await this.#clock.sleep(waitMs, options.signal)
    }
  }

  #openPool(): Promise<OpenPool> {
    this.#open ??= this.#makePool().catch(error => {
      this.#open = undefined
      throw error
    })
    return this.#open
  }

  async #makePool(): Promise<OpenPool> {
    const { connectionString, pool } = this.#options
    const open = pool === undefined ? await openPool(connectionString) : borrowPool(pool)
    // An idle connection that breaks is an event of the pool, which ends the process where nobody listens. The next call has another connection.
    open.pool.on('error', ignoreError)
    return open
  }

  #describe(error: unknown, place: PostgresPlace): unknown {
    if (sqlState(error) !== '42501') return describePostgresError(error, place) ?? error
    return new AuthError(
      `The offset store at ${place.address} refused: this user lacks a right to the tables in schema ${this.schema}. ` +
        `Postgres says: ${errorMessage(error)}. The grants it needs are at the end of what postgresOffsetsMigration() returns.`,
      { cause: error, details: { address: place.address, schema: this.schema } },
    )
  }
}

/** A broken connection, a server that restarts, a deadlock. */
function isPassing(error: unknown): boolean {
  return isConnectionLost(error) || sqlState(error)?.startsWith('40') === true
}

function ignoreError(): void {}
