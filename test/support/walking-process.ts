import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NODE_COMPILE_CACHE = join(tmpdir(), 'tidemark-test-compile-cache')
const RESTART_AFTER_MS = 300
/** Of what a process says, what is kept to tell why it ended. */
const SAID_CHARACTERS = 20_000

/** How a process of Node ended by itself, and the end of what it said on stderr. */
export type WalkingEnd = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly said: string }

export type WalkingOptions = {
  /** What it is, for messages. */
  readonly label: string
  /** Of `node`, the script among them. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Whether an end that nobody asked for is one that the walk explains, such as of who was fenced. */
  readonly isExpected: (end: WalkingEnd) => boolean
  /** Told each whole line of stderr, of every life. */
  readonly onLine?: (line: string) => void
}

/** A process that is killed, paused and told to end, and that is started again whenever it ends, as a supervisor of services does. */
export class WalkingProcess implements AsyncDisposable {
  readonly label: string
  /** How often it ended in a way that nothing the walk did explains, with what it said. */
  readonly surprises: string[] = []
  /** What all of its lives have printed. */
  stdout = ''
  starts = 0
  /** How often it ended with the exit code of who was fenced. */
  fenced = 0
  readonly #options: WalkingOptions
  #child: ChildProcess | undefined
  #isWanted = true
  /** Whether it was told to end: before it listens for SIGTERM, that ends it as any process. */
  #isToldToEnd = false
  #ended: Promise<void> = Promise.resolve()

  constructor(options: WalkingOptions) {
    this.#options = options
    this.label = options.label
    this.#start()
  }

  /** Not between two lives. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  kill(): void {
    this.#isToldToEnd = true
    this.#child?.kill('SIGKILL')
  }

  /** Asks it to finish what it has in hand and end; it is started again. */
  stop(): void {
    this.#isToldToEnd = true
    this.#child?.kill('SIGTERM')
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }

  wake(): void {
    this.#child?.kill('SIGCONT')
  }

  /** Asks it to end, and starts it no more. */
  async end(): Promise<void> {
    this.#isWanted = false
    this.wake()
    this.stop()
    await this.#ended
  }

  /** Ends it at once and for good. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isWanted = false
    this.kill()
    await this.#ended
  }

  #start(): void {
    const { args, env, isExpected, onLine } = this.#options
    this.starts += 1
    this.#isToldToEnd = false
    const running = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_NO_WARNINGS: '1', NO_COLOR: '1', NODE_COMPILE_CACHE, ...env },
    })
    this.#child = running
    let said = ''
    let line = ''
    running.stdout.setEncoding('utf8').on('data', text => (this.stdout += text))
    running.stderr.setEncoding('utf8').on('data', text => {
      said = (said + text).slice(-SAID_CHARACTERS)
      const lines = (line + text).split('\n')
      line = lines.pop() ?? ''
      if (onLine !== undefined) for (const whole of lines) onLine(whole)
    })
    this.#ended = new Promise(resolve => {
      running.on('close', (code, signal) => {
        if (code === 4) this.fenced += 1
        const isAsked = this.#isToldToEnd && signal !== null
        if (!isAsked && code !== 0 && !isExpected({ code, signal, said })) this.surprises.push(`${code ?? signal}: ${said.slice(-2_000)}`)
        if (this.#isWanted) setTimeout(() => this.#isWanted && this.#start(), RESTART_AFTER_MS)
        resolve()
      })
    })
  }
}
