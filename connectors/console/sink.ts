import type { Sink } from '../../src/core/sink.ts'
import type { Task } from '../../src/core/values.ts'
import { toJsonLine } from '../../src/util/json-line.ts'
import { parseOptions } from '../../src/util/parse-options.ts'
import { type ConsoleSinkOptions, consoleSinkOptions } from './options.ts'
import { writeStdout } from './write-stdout.ts'

/**
 * Prints each row as a line of JSON, text as it is: for development and for pipes. `at-least-once`, since nothing remembers what was printed.
 * Throws `ConfigError` where `write` is no function.
 */
export function consoleSink(options: ConsoleSinkOptions = {}): Sink<unknown> {
  const { write = writeStdout } = parseOptions(consoleSinkOptions, options, 'consoleSink')
  return new ConsoleSink(write)
}

class ConsoleSink implements Sink<unknown> {
  readonly name = 'console'
  readonly guarantee = 'at-least-once'
  readonly ordering = 'none'
  readonly rewritten = { addsRows: true, sentence: 'printed a second time' }
  readonly #write: (lines: string) => unknown

  constructor(write: (lines: string) => unknown) {
    this.#write = write
  }

  async write(task: Task, rows: AsyncIterable<readonly unknown[]>, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    let place = 0
    for await (const array of rows) {
      signal.throwIfAborted()
      let lines = ''
      for (const [index, row] of array.entries()) lines += typeof row === 'string' ? `${row}\n` : toJsonLine(row, place + index, task)
      place += array.length
      if (lines !== '') await this.#write(lines)
    }
    signal.throwIfAborted()
  }
}
