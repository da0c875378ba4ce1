import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { MatrixStream } from '../crash/matrix/plan.ts'

const child = fileURLToPath(new URL('../crash/matrix/driver-child.ts', import.meta.url))
const RESTART_AFTER_MS = 300
/** How a driver may end by itself while its servers come and go: fenced, or unable to reach one at its start. */
const EXPECTED = /^ended: (FENCED|CONNECTION|TIMEOUT|LEASE_HELD) /m

/** A driver that is started again whenever it ends, as a supervisor of services does. */
export class WalkingDriver {
  readonly stream: MatrixStream
  /** How often it ended in a way that nothing the walk did explains, with what it said. */
  readonly surprises: string[] = []
  stdout = ''
  starts = 0
  fenced = 0
  #child: ChildProcess | undefined
  #isWanted = true
  /** Whether it was told to end: before it listens for SIGTERM, that ends it as any process. */
  #isToldToEnd = false
  #ended: Promise<void> = Promise.resolve()

  constructor(stream: MatrixStream) {
    this.stream = stream
    this.#start()
  }

  kill(): void {
    this.#isToldToEnd = true
    this.#child?.kill('SIGKILL')
  }

  /** Asks it to finish its batch and end; it is started again. */
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

  /** Ends it for good. */
  async end(): Promise<void> {
    this.#isWanted = false
    this.wake()
    this.stop()
    await this.#ended
  }

  #start(): void {
    this.starts += 1
    this.#isToldToEnd = false
    const running = spawn(process.execPath, ['--conditions=tidemark-source', child], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_NO_WARNINGS: '1', NO_COLOR: '1', MATRIX: JSON.stringify(this.stream), STRIKE: '' },
    })
    this.#child = running
    let said = ''
    running.stdout.setEncoding('utf8').on('data', text => (this.stdout += text))
    running.stderr.setEncoding('utf8').on('data', text => {
      said = (said + text).slice(-20_000)
    })
    this.#ended = new Promise(resolve => {
      running.on('close', (code, signal) => {
        if (code === 4) this.fenced += 1
        if (!(this.#isToldToEnd && signal !== null) && code !== 0 && !EXPECTED.test(said))
          this.surprises.push(`${code ?? signal}: ${said.slice(-2_000)}`)
        if (this.#isWanted) setTimeout(() => this.#isWanted && this.#start(), RESTART_AFTER_MS)
        resolve()
      })
    })
  }
}
