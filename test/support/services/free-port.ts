import { createServer } from 'node:net'
import { ConfigError } from '../../../src/core/errors.ts'

// Below the ports that Linux, macOS and Windows give to outgoing connections (32768 and up): one of those could take a broker's port
// while the broker is stopped, and it could not come back.
const FIRST_PORT = 20_000
const LAST_PORT = 32_000
const ATTEMPTS = 200

/** Finds ports nobody listens on, all different. Somebody else may take one before it is used, so who uses them tries again. */
export async function findFreePorts(count: number): Promise<number[]> {
  const ports = new Set<number>()
  for (let attempt = 0; attempt < ATTEMPTS && ports.size < count; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT))
    if (!ports.has(port) && (await isFree(port))) ports.add(port)
  }
  if (ports.size < count) throw new ConfigError(`No free port between ${FIRST_PORT} and ${LAST_PORT} after ${ATTEMPTS} attempts.`)
  return [...ports]
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
