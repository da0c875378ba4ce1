import { expect, test } from 'vitest'
import { Executors } from '../../../connectors/bullmq/driver/executors.ts'
import { BULLMQ_VERSION, type ExecutorInfo } from '../../../connectors/bullmq/messages.ts'
import { silentLog } from '../../../src/core/log.ts'

const fingerprint = { version: '1.0.0', shape: 'shape', sources: 'sources', targets: ['postgres'] }
const executor = (id: string): ExecutorInfo => ({
  ...{ v: BULLMQ_VERSION, id, host: 'host', pid: 1, slots: 2, fingerprint, startedAt: 0, state: 'ready' },
  tasks: { running: 0, completed: 0, failed: 0 },
})

test('an executor that could not open the job gets nothing for half a minute, and then work again', () => {
  let now = 1_000
  const executors = new Executors('orders', fingerprint, silentLog, () => now)
  const look = () => executors.see(['a', 'b'].map(id => ({ info: executor(id), silentForMs: 0 })))
  const ready = () => executors.ready.map(({ id }) => id)
  look()
  expect(ready()).toEqual(['a', 'b'])
  executors.refuse('a', 'it cannot open the job: Postgres refused the password')
  expect(ready()).toEqual(['b'])
  expect(executors.standing('a')).toEqual({ state: 'waits', why: 'it cannot open the job: Postgres refused the password' })
  now += 29_999
  look()
  expect(ready()).toEqual(['b'])
  now += 1
  look()
  expect(ready()).toEqual(['a', 'b'])
})
