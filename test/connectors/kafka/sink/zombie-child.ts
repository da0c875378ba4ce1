import { writeSync } from 'node:fs'
import { kafkaSink } from '../../../../connectors/kafka/index.ts'
import { isTidemarkError } from '../../../../src/core/errors.ts'
import { silentLog } from '../../../../src/core/log.ts'
import type { SinkContext } from '../../../../src/core/sink.ts'
import type { Task } from '../../../../src/core/values.ts'
import { API, faultySockets } from './faulty-socket.ts'

/** What the child is told: whose task it runs, and in front of which request it stops itself. */
export type ZombieOrders = {
  readonly brokers: readonly string[]
  readonly topic: string
  readonly context: Pick<SinkContext, 'stream' | 'streamId' | 'output'>
  readonly task: Task
  readonly ids: readonly number[]
  readonly stopBefore: 'rows' | 'ledger record' | 'commit'
}

const { brokers, topic, context, task, ids, stopBefore } = JSON.parse(process.argv[2] ?? '') as ZombieOrders
const ledgerRow = `["task",${JSON.stringify(context.streamId)}`

const { socketFactory } = faultySockets({
  match: (apiKey, frame) => {
    if (stopBefore === 'commit') return apiKey === API.endTxn
    if (apiKey !== API.produce) return false
    return frame.includes(stopBefore === 'rows' ? topic : ledgerRow)
  },
  fault: async () => {
    // Said at once: what is written to a pipe by a stream may wait for a turn that does not come.
    writeSync(2, 'struck\n')
    process.kill(process.pid, 'SIGSTOP')
  },
})
const signal = new AbortController().signal
const sink = kafkaSink<{ id: number }>({ kafka: { brokers: [...brokers], socketFactory }, topic })
await sink.open({ ...context, signal, log: silentLog })
async function* rows() {
  yield ids.map(id => ({ id }))
}
try {
  await sink.write(task, rows(), { signal, log: silentLog })
  writeSync(1, 'resolved')
} catch (error) {
  writeSync(1, isTidemarkError(error) ? error.code : 'another error')
  writeSync(2, String(error))
}
await sink.close()
