import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** Tests start the same program again and again; half of its start is compiling. */
const NODE_COMPILE_CACHE = join(tmpdir(), 'tidemark-test-compile-cache')

/** How a command ended and what it had printed. `code` is null where a signal ended it. */
export type Ended = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export type ProcessOptions = {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** What it finds on stdin. @default nothing, and no terminal */
  readonly input?: string
}

/** A Node process that a test watches; ended with the test if it still runs then. */
export class NodeProcess {
  readonly child: ChildProcess
  /** Resolves when it has ended and nobody holds its output any more, so that no child of its own is left either. */
  readonly ended: Promise<Ended>
  readonly #waiting = new Set<() => void>()
  #stdout = ''
  #stderr = ''
  #hasEnded = false

  constructor(args: readonly string[], { env = {}, cwd, input }: ProcessOptions = {}) {
    const { TIDEMARK_STORE: _, TIDEMARK_TO_STORE: _to, ...inherited } = process.env
    this.child = spawn(process.execPath, args, {
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...inherited, NO_COLOR: '1', NODE_NO_WARNINGS: '1', NODE_COMPILE_CACHE, ...env },
      ...(cwd !== undefined && { cwd }),
    })
    this.child.stdin?.end(input)
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(() => (this.#stdout += text)))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#take(() => (this.#stderr += text)))
    this.ended = new Promise(resolve => {
      this.child.on('close', (code, signal) => {
        this.#take(() => (this.#hasEnded = true))
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr })
      })
    })
    onTestFinished(async () => {
      this.child.kill('SIGKILL')
      await this.ended
    })
  }

  /** What it has said so far. */
  get stderr(): string {
    return this.#stderr
  }

  /** Resolves when stderr holds `text` `times` times. Rejects when the process ends without. */
  async says(text: string | RegExp, times = 1): Promise<void> {
    const pattern = new RegExp(typeof text === 'string' ? RegExp.escape(text) : text, 'g')
    while ((this.#stderr.match(pattern)?.length ?? 0) < times) {
      if (this.#hasEnded) throw new Error(`The process ended without saying ${text}. It said:\n${this.#stdout}\n${this.#stderr}`)
      await new Promise<void>(resolve => this.#waiting.add(resolve))
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Wakes a process that stopped itself. Again and again, for what it said before it stopped may be heard before it has. */
  wake(): void {
    const timer = setInterval(() => this.child.kill('SIGCONT'), 20)
    this.ended.then(() => clearInterval(timer))
  }

  #take(note: () => void): void {
    note()
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
