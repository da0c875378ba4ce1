import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Clock } from '../../src/core/clock.ts'
import { ConfigError } from '../../src/core/errors.ts'
import type { CallOptions } from '../../src/core/source.ts'
import { openDatabase } from './open-database.ts'
import { describeSqliteError, isBusy } from './sqlite-error.ts'
import { prepareStatements, type Statements } from './statements.ts'

const BUSY_FOR_MS = 10_000
const RETRY_AFTER_MS = 10

/**
 * A connection to the store's file, opened on first use. A transaction runs without a wait inside, so no other call of this process can come between;
 * waiting for other processes happens between attempts, where the thread is free.
 */
export class SqliteConnection {
  readonly #path: string
  readonly #clock: Clock
  #statements: Statements | undefined

  constructor(path: string, clock: Clock) {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      throw new ConfigError(
        `sqliteOffsets needs the path of a file, not ${JSON.stringify(path)}: sqliteOffsets({ path: 'orders.offsets.db' }).`,
      )
    }
    if (path === ':memory:')
      throw new ConfigError('sqliteOffsets keeps its offsets in a file, not in :memory:. Use memoryOffsets() for that.')
    this.#path = resolve(path)
    this.#clock = clock
  }

  /** One write transaction, made durable by one fsync. The file is made where it is missing. */
  write<T>(options: CallOptions, run: (statements: Statements) => T): Promise<T> {
    return this.#attempt(options, () => {
      const statements = this.#open()
      return transact(statements, statements.beginImmediate, run)
    })
  }

  /** One consistent look. A file that is missing is not made: `run` then gets undefined, for there is nothing in it. */
  read<T>(options: CallOptions, run: (statements: Statements | undefined) => T): Promise<T> {
    return this.#attempt(options, () => {
      if (this.#statements === undefined && isMissing(this.#path)) return run(undefined)
      const statements = this.#open()
      return transact(statements, statements.begin, run)
    })
  }

  close(): void {
    this.#statements?.close()
    this.#statements = undefined
  }

  #open(): Statements {
    this.#statements ??= prepareStatements(openDatabase(this.#path))
    return this.#statements
  }

  async #attempt<T>(options: CallOptions, run: () => T): Promise<T> {
    options.signal?.throwIfAborted()
    const giveUpAt = this.#clock.monotonic() + BUSY_FOR_MS
    for (;;) {
      try {
        return run()
      } catch (error) {
        const mayRetry = isBusy(error) && this.#clock.monotonic() < giveUpAt
        if (!mayRetry) throw describeSqliteError(error, this.#path) ?? error
      }
      await this.#clock.sleep(RETRY_AFTER_MS, options.signal)
    }
  }
}

/** Unlike `existsSync`, this throws where the answer is not known: a folder that may not be entered is no empty store. */
function isMissing(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) === undefined
}

function transact<T>(statements: Statements, begin: () => void, run: (statements: Statements) => T): T {
  begin()
  try {
    const result = run(statements)
    statements.commit()
    return result
  } catch (error) {
    statements.rollback()
    throw error
  }
}
