import { postgresSink } from '../../../connectors/postgres/index.ts'
import { silentLog } from '../../../src/core/log.ts'
import { manyRowsUntil, type StoppedAttempt } from './stopped-attempt-parts.ts'

// Run as a process of its own: writes a task of batch 7, epoch 1, stops itself at a point of it, and when it is woken says how the attempt ended.
const { connectionString, schema, table, output, at, key, write } = JSON.parse(process.argv[2] ?? '{}') as StoppedAttempt
const stop = () => process.kill(process.pid, 'SIGSTOP')
const options = { connectionString, schema }
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
await sink.open?.({ stream: 'orders', streamId: 'id-1', output, signal, log: silentLog })
const task = {
  ...{ stream: 'orders', batchId: 7, epoch: 1, index: 0, batchTime: 0, output, attempt: 'stopped' },
  range: { topic: 'orders', partition: 3, fromOffset: 120, untilOffset: 180 },
}
try {
  await sink.write(task, manyRowsUntil(at, stop), { signal, log: silentLog })
  process.stdout.write('applied\n')
} catch (error) {
  process.stdout.write(`${(error as { code?: string }).code}\n`)
}
await sink.close?.().catch(() => {})
