import { isTidemarkError, UnsupportedError } from '../../src/core/errors.ts'
import type { ControlLine } from './control-line.ts'

/** What BullMQ's scripts need. */
const LEAST = [6, 2] as const

/**
 * Refuses a Redis that is too old for BullMQ, and says where packs may be evicted. That is a warning only: which tasks are to run is in the offset store,
 * and what Redis loses is given out again.
 */
export async function checkServer(line: ControlLine, warn: (message: string) => void): Promise<void> {
  const [server, memory] = await Promise.all([readInfo(line, 'server'), readInfo(line, 'memory')])
  const version = /^redis_version:(\S+)/m.exec(server)?.[1]
  if (version !== undefined && isOlder(version)) {
    throw new UnsupportedError(
      `${line.address} is version ${version}, and queues of BullMQ need Redis ${LEAST.join('.')} or newer. Upgrade it, or name another.`,
      { details: { version } },
    )
  }
  const policy = /^maxmemory_policy:(\S+)/m.exec(memory)?.[1]
  if (policy !== undefined && policy !== 'noeviction') {
    warn(
      `${line.address} drops keys when its memory is full (maxmemory-policy ${policy}). Tasks that are lost so are given out again, late. Set it to noeviction.`,
    )
  }
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])
}

/** Nothing where this user may not ask. */
async function readInfo(line: ControlLine, section: string): Promise<string> {
  try {
    return String(await line.call('info', [section]))
  } catch (error) {
    const isRefused = isTidemarkError(error) && (error.details.reply === 'NOPERM' || error.code === 'UNSUPPORTED')
    if (isRefused) return ''
    throw error
  }
}
