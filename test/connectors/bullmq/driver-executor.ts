import { serveTasks } from '../../../connectors/bullmq/index.ts'
import { inProcess } from '../../../src/executors/in-process.ts'
import job from './driver-job.ts'

/** An executor in a process of its own: `driver-executor.ts <url> <prefix> <slots>`. */
const [url, prefix = '', slots = '1'] = process.argv.slice(2)
const server = await serveTasks(job, { url, prefix, slots: Number(slots), executor: inProcess({ concurrency: Number(slots) }) })
process.once('SIGTERM', () => server.drain())
process.stderr.write(`up ${server.id}\n`)
await server.done
