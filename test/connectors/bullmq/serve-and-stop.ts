import { serveTasks } from '../../../connectors/bullmq/host/serve-tasks.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import contractJob from '../../../src/testing/executor/contract-job.ts'

// An executor in a process of its own, which ends by itself when nothing is open any more.
const [, , url, prefix = ''] = process.argv
const server = await serveTasks(contractJob, { url, prefix, executor: inProcess(), slots: 2 })
process.once('SIGTERM', () => server.stop())
process.stderr.write('serves\n')
