import { describe, test } from 'vitest'
import { inProcess } from '../../../src/executors/in-process.ts'
import { threads } from '../../../src/executors/threads.ts'
import { type ExecutorContractOptions, executorContract } from '../../../src/testing/index.ts'

const runner: Pick<ExecutorContractOptions, 'describe' | 'test'> = {
  describe,
  test: (title, body) => test(title, { timeout: 60_000 }, body),
}

describe('in-process', () => {
  executorContract({ ...runner, open: async () => ({ executor: inProcess(), close: async () => {} }) })
})

describe('threads', () => {
  executorContract({ ...runner, open: async () => ({ executor: threads({ size: 2 }), close: async () => {} }), hasWorkers: true })
})
