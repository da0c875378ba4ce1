import { fileURLToPath } from 'node:url'
import { contractEnvironment } from '../../../src/testing/executor/notes.ts'
import { TidemarkProcess } from '../../src/cli/tidemark-process.ts'

const CONTRACT_MODULE = fileURLToPath(new URL('../../../src/testing/executor/contract-job.ts', import.meta.url))

/** `tidemark executor`, as a machine of its own would run it. */
export class ExecutorProcess extends TidemarkProcess {
  constructor({ url, prefix, module = CONTRACT_MODULE, threads = 2 }: { url: string; prefix: string; module?: string; threads?: number }) {
    super(['executor', module, '--threads', String(threads)], {
      env: { ...contractEnvironment(), TIDEMARK_EXECUTORS: `${url}?prefix=${prefix}`, TIDEMARK_LOG_LEVEL: 'info' },
    })
  }

  /** Resolves with its name when drivers see it. */
  async served(): Promise<string> {
    await this.says(/executor \S+ serves/)
    return /executor (\S+) serves/.exec(this.stderr)?.[1] ?? ''
  }
}
