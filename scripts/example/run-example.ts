import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { styleText } from 'node:util'
import type { Example } from './list-examples.ts'
import { startServices } from './start-services.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const INTERRUPTED = 130

/**
 * Plays an example: starts its servers, runs its `main.ts` in a process of its own with their addresses and an empty folder
 * (`EXAMPLE_DIRECTORY`) in the environment, and takes everything away again. Gives its exit code; 130 where a signal ended it.
 */
export async function runExample(example: Example): Promise<number> {
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort()
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)

  const directory = join(ROOT, '.tidemark', 'examples', example.name)
  await rm(directory, { recursive: true, force: true })
  await mkdir(directory, { recursive: true })

  if (example.needs.length > 0) say(example, `starting ${example.needs.join(' and ')}`)
  const services = await startServices(example.needs, `${example.name}-${Date.now()}`)
  for (const origin of services.origins) say(example, origin)
  try {
    if (interrupted.signal.aborted) return INTERRUPTED
    const code = await play(example, { ...process.env, ...services.environment, EXAMPLE_DIRECTORY: directory }, interrupted.signal)
    return interrupted.signal.aborted ? INTERRUPTED : code
  } finally {
    await services.close()
  }
}

/**
 * Runs `main.ts` as the leader of a process group, so that what it has started itself ends with it, however it ends; a signal from the terminal
 * comes to us alone and is passed on.
 */
async function play(example: Example, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const args = [...process.execArgv, '--disable-warning=TimeoutNegativeWarning', join(example.folder, 'main.ts')]
  const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  const stop = () => signalGroup(child, 'SIGINT')
  signal.addEventListener('abort', stop)
  try {
    const [code] = await once(child, 'exit')
    return code ?? 1
  } finally {
    signal.removeEventListener('abort', stop)
    signalGroup(child, 'SIGKILL')
  }
}

function signalGroup(leader: ChildProcess, signal: NodeJS.Signals): void {
  if (leader.pid === undefined) return
  try {
    process.kill(-leader.pid, signal)
  } catch (error) {
    // Nobody is left in it.
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function say(example: Example, line: string): void {
  process.stderr.write(`${styleText('cyan', example.name, { stream: process.stderr })} ${line}\n`)
}
