// A server of offsets: an SQLite file behind a port, one JSON line a call and one an answer. Runs until it is killed, or whoever started it is gone.
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { sqliteOffsets } from '../../../offsets/sqlite/index.ts'
import { isTidemarkError } from '../../../src/core/errors.ts'
import { type Answer, type Call, isStoreMethod } from './wire.ts'

const [path = '', port = ''] = process.argv.slice(2)
const store = sqliteOffsets({ path })

async function answer({ id, method, args }: Call): Promise<Answer> {
  try {
    if (method === 'history') return { id, result: await Array.fromAsync(store.history(...(args as Parameters<typeof store.history>))) }
    if (!isStoreMethod(method)) throw new Error(`no method ${method}`)
    const call = store[method] as (...of: readonly unknown[]) => Promise<unknown>
    return { id, result: await call.apply(store, [...args]) }
  } catch (error) {
    if (!isTidemarkError(error)) throw error
    const { code, message, details, retryable } = error
    return { id, error: { code, message, details, retryable } }
  }
}

async function serve(socket: Socket): Promise<void> {
  for await (const line of createInterface({ input: socket })) socket.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
}

process.stdin.resume().on('end', () => process.exit())
// A connection that ends is the client's affair.
createServer(socket => void serve(socket.on('error', () => {})).catch(() => {})).listen(Number(port), '127.0.0.1', () =>
  process.stdout.write('ready\n'),
)
