import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../../src/core/errors.ts'
import { findFreePorts } from './free-port.ts'
import { tail } from './run-program.ts'
import type { Service } from './service.ts'
import { ServiceProcess } from './service-process.ts'
import { waitUntil } from './wait-until.ts'

const ATTEMPTS = 3
const READY_WITHIN_MS = 60_000

/** How a server is run as a local process. */
export type LocalServiceRecipe = {
  readonly name: string
  /** Fills the folder once, before the first start. */
  readonly prepare?: (folder: string, port: number) => Promise<void>
  /** Its command line; it must stay in the foreground. */
  readonly command: (folder: string, port: number) => readonly string[]
  readonly address: (port: number) => string
  /** Whether it answers; an error counts as not yet. */
  readonly isReady: (address: string) => Promise<boolean>
  /** The signal that ends it in good order. @default 'TERM' */
  readonly stopSignal?: 'TERM' | 'INT'
}

/** Starts a server as a local process on a port and in a folder of its own, gone with this process. */
export async function startLocally(recipe: LocalServiceRecipe): Promise<Service> {
  for (let attempt = 1; ; attempt++) {
    const [port = 0] = await findFreePorts(1)
    const folder = await mkdtemp(join(tmpdir(), `tidemark-${recipe.name.toLowerCase()}-`))
    try {
      await recipe.prepare?.(folder, port)
      return await startIn(folder, port, recipe)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      // Somebody else may have taken the port between our look and its start.
      if (attempt === ATTEMPTS) throw error
    }
  }
}

async function startIn(folder: string, port: number, recipe: LocalServiceRecipe): Promise<Service> {
  const address = recipe.address(port)
  const logPath = join(folder, 'service.log')
  let running: ServiceProcess | undefined

  const start = async () => {
    if (running !== undefined) return
    const service = new ServiceProcess(recipe.command(folder, port), { folder, logPath })
    running = service
    const ready = new AbortController()
    const early = service.exited.then(async code => {
      if (ready.signal.aborted) return
      const log = tail(await readFile(logPath, 'utf8'))
      throw new ConfigError(`${recipe.name} ended with code ${code} while it started. The end of its log:\n${log}`)
    })
    try {
      const answers = waitUntil(`${recipe.name} answers`, () => recipe.isReady(address), {
        timeoutMs: READY_WITHIN_MS,
        signal: ready.signal,
      })
      await Promise.race([answers, early])
    } catch (error) {
      await service.end('KILL')
      running = undefined
      throw error
    } finally {
      ready.abort()
    }
  }
  const end = async (signal: 'TERM' | 'INT' | 'KILL') => {
    await running?.end(signal)
    running = undefined
  }
  const close = async () => {
    await end('KILL')
    await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  await start()
  return {
    origin: `${recipe.name} as a local process`,
    address,
    start,
    stop: () => end(recipe.stopSignal ?? 'TERM'),
    kill: () => end('KILL'),
    close,
    [Symbol.asyncDispose]: close,
  }
}
