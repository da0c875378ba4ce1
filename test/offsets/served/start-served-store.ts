import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePorts } from '../../support/services/free-port.ts'

/** A server of offsets as a process of its own. */
export type ServedStore = {
  readonly address: string
  /** Kills it with SIGKILL and starts it again on its port and its file; with `isEmptied` on an empty file. */
  restart(isEmptied?: boolean): Promise<void>
  close(): Promise<void>
}

export async function startServedStore(): Promise<ServedStore> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-served-'))
  const [port = 0] = await findFreePorts(1)
  let file = 0
  let child = await start(join(folder, `offsets-${file}.db`), port)
  const kill = async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    address: `127.0.0.1:${port}`,
    restart: async (isEmptied = false) => {
      if (isEmptied) file += 1
      await kill()
      child = await start(join(folder, `offsets-${file}.db`), port)
    },
    close: async () => {
      await kill()
      await rm(folder, { recursive: true })
    },
  }
}

async function start(path: string, port: number): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./serve-store-child.ts', import.meta.url))
  const child = spawn(process.execPath, [script, path, String(port)], { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}
