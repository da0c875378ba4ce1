import { type ChildProcess, spawn } from 'node:child_process'
import { onTestFinished } from 'vitest'

/**
 * A shell's command in a terminal of its own (`script` of util-linux makes one, 24 by 100), with somebody at the keyboard. What it draws is one text.
 * Behind the command the shell says whether the terminal is as it was.
 */
export class TerminalProcess {
  readonly #child: ChildProcess
  /** Resolves to the exit code. */
  readonly ended: Promise<number | null>
  readonly #waiting = new Set<() => void>()
  #screen = ''
  #hasEnded = false

  constructor(command: string, { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> }) {
    const line = `stty rows 24 cols 100; ${command}; code=$?; stty -a | grep -o -e '-*icanon'; exit $code`
    const { TIDEMARK_STORE: _, ...inherited } = process.env
    this.#child = spawn('script', ['--quiet', '--flush', '--return', '--command', line, '/dev/null'], {
      cwd,
      env: { ...inherited, TERM: 'xterm', NO_COLOR: '1', NODE_NO_WARNINGS: '1', SHELL: '/bin/sh', ...env },
    })
    for (const output of [this.#child.stdout, this.#child.stderr])
      output?.setEncoding('utf8').on('data', (text: string) => this.#take(() => (this.#screen += text)))
    this.ended = new Promise((resolve, reject) => {
      this.#child.on('error', error => {
        this.#take(() => (this.#hasEnded = true))
        reject(error)
      })
      this.#child.on('close', code => {
        this.#take(() => (this.#hasEnded = true))
        resolve(code)
      })
    })
    onTestFinished(async () => {
      this.#child.kill('SIGKILL')
      await this.ended.catch(() => {})
    })
  }

  /** All that was drawn so far. */
  get screen(): string {
    return this.#screen
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Resolves when `text` is drawn behind what was there at the call. Presses `key` until then, if one is given: it may come before somebody hears it. */
  async shows(text: string, { pressing }: { readonly pressing?: string } = {}): Promise<void> {
    const from = pressing === undefined ? 0 : this.#screen.length
    const press = pressing === undefined ? undefined : setInterval(() => this.type(pressing), 50)
    try {
      while (!this.#screen.includes(text, from)) {
        if (this.#hasEnded) throw new Error(`The terminal ended without showing ${text}. It showed:\n${this.#screen}`)
        await new Promise<void>(resolve => this.#waiting.add(resolve))
      }
    } finally {
      clearInterval(press)
    }
  }

  #take(note: () => void): void {
    note()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
