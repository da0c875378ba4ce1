import { jsonlSink } from '../../../connectors/files/index.ts'
import { context, running, task } from './files-task.ts'

// Run as a process of its own: writes much of a task, says so, and never comes to its end, so that the test can kill it there.
const sink = jsonlSink({ directory: process.argv[2] })
await sink.prepare?.(context())
await sink.write(task(), endless(), running)

async function* endless() {
  const keepAlive = setInterval(() => {}, 60_000)
  for (let array = 0; array < 8; array++) yield Array.from({ length: 4096 }, (_, id) => ({ id, text: 'x'.repeat(100) }))
  process.stdout.write('written\n')
  await new Promise(() => {})
  clearInterval(keepAlive)
}
