import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const command = fileURLToPath(new URL('../../src/cli/tidemark-child.ts', import.meta.url))

/** A `tidemark executor` of the bench in a process of its own. */
export class ExecutorProcess implements AsyncDisposable {
  readonly child: ChildProcess

  constructor(job: string, url: string, threads: number) {
    const path = fileURLToPath(new URL(`./${job}`, import.meta.url))
    this.child = spawn(
      process.execPath,
      ['--conditions=tidemark-source', command, 'executor', path, '--executors', `${url}?prefix=bench`, '--threads', String(threads)],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_NO_WARNINGS: '1' } },
    )
    // Nobody reads on once it has started, and a full pipe would stop it.
    this.child.stderr?.resume()
  }

  kill(): void {
    this.child.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    this.child.kill('SIGTERM')
    await once(this.child, 'close')
  }
}
