import { Socket } from 'node:net'
import { postgresSink } from '../../../connectors/postgres/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { manyRowsUntil, routedOptions, routedRow, type StoppedAttempt } from './stopped-attempt-parts.ts'

// Run as a process of its own: writes a task of batch 7, epoch 1, stops itself at a point of it, and when it is woken says how the attempt ended.
const { connectionString, schema, table, output, at, key, write, routed } = JSON.parse(process.argv[2] ?? '{}') as StoppedAttempt
const stop = () => process.kill(process.pid, 'SIGSTOP')
const options = { connectionString, schema }
if (at === 'inside the second COPY') stopInsideSecondCopy()
const toTables = postgresSink({ ...options, ...routedOptions(schema, table, key) })
const sink =
  write === true
    ? postgresSink<{ id: number }>({
        ...options,
        write: async client => {
          await client.query(`insert into ${schema}.${table} values (1) on conflict do nothing`)
          stop()
          await new Promise(setImmediate)
        },
      })
    : postgresSink<{ id: number }>({ ...options, table: `${schema}.${table}`, columns: ['id'], ...(key && { key: 'id' }) })
const signal = new AbortController().signal
const opened = routed === true ? toTables : sink
await opened.open?.({ stream: 'orders', streamId: 'id-1', output, signal, log: silentLog })
const task = {
  ...{ stream: 'orders', batchId: 7, epoch: 1, index: 0, batchTime: 0, output, attempt: 'stopped' },
  range: { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180 },
}
try {
  if (routed === true) await toTables.write(task, routedRows(), { signal, log: silentLog })
  else await sink.write(task, manyRowsUntil(at, stop), { signal, log: silentLog })
  process.stdout.write('applied\n')
} catch (error) {
  process.stdout.write(`${(error as { code?: string }).code}\n`)
}
await opened.close?.().catch(() => {})

async function* routedRows() {
  for await (const rows of manyRowsUntil(at, stop)) yield rows.map(({ id }) => routedRow(id))
}

/** Stops behind the first rows of the second COPY, whose bytes have left by then. */
function stopInsideSecondCopy(): void {
  const write = Socket.prototype.write as (this: Socket, bytes: unknown, ...rest: unknown[]) => boolean
  let ended = 0
  Socket.prototype.write = function (this: Socket, bytes: unknown, ...rest: unknown[]) {
    const isMore = write.call(this, bytes, ...rest)
    if (!(bytes instanceof Uint8Array)) return isMore
    const isRows = bytes[0] === 0x64 && bytes.length > 1000
    if (isRows && ended === 1) {
      ended += 1
      stop()
    }
    if (bytes.length >= 5 && bytes.at(-5) === 0x63 && bytes.at(-1) === 4) ended += 1
    return isMore
  } as typeof Socket.prototype.write
}
