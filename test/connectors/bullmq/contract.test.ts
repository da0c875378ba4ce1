import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { bullmq } from '../../../connectors/bullmq/index.ts'
import { type ExecutorFaults, executorContract, type WorkerId } from '../../../src/testing/index.ts'
import { services } from '../../support/services.ts'
import { ExecutorProcess } from './executor-process.ts'

let opened = 0

/** Real processes over a real Redis; a prefix of its own keeps each test's executors to itself. */
describe('bullmq', () => {
  executorContract({
    describe,
    test: (title, body) => test(title, { timeout: 60_000 }, body),
    hasWorkers: true,
    endsOlderEpochs: true,
    faults: ['kill', 'pause', 'drain'],
    open: async ({ module }) => {
      opened += 1
      const options = { url: services().redis, prefix: `contract-${process.pid}-${opened}-${Date.now()}` }
      const processes = [1, 2].map(() => new ExecutorProcess({ ...options, module: fileURLToPath(module) }))
      await Promise.all(processes.map(child => child.served()))
      const find = ({ pid }: WorkerId): ExecutorProcess => {
        const found = processes.find(({ child }) => child.pid === pid)
        if (found === undefined) throw new Error(`No executor has pid ${pid}.`)
        return found
      }
      const faults: ExecutorFaults = {
        async kill(worker) {
          const found = find(worker)
          found.signal('SIGKILL')
          await found.ended
        },
        async pause(worker) {
          const found = find(worker)
          found.signal('SIGSTOP')
          return { resume: async () => void found.signal('SIGCONT') }
        },
        async drain(worker) {
          const found = find(worker)
          found.signal('SIGTERM')
          await found.says('drains')
          return { ended: found.ended.then(({ code }) => expect(code).toBe(0)) }
        },
      }
      return {
        executor: bullmq(options),
        another: async () => bullmq(options),
        faults,
        async close() {
          for (const child of processes) child.signal('SIGTERM')
          await Promise.all(processes.map(({ ended }) => ended))
        },
      }
    },
  })
})
