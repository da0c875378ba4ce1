import { parseOptions } from '../../src/util/parse-options.ts'
import { ControlLine } from './control-line.ts'
import { jobKeys } from './keys.ts'
import { type BullmqConnection, connectionSchema } from './options.ts'
import { type Look, Registry } from './registry.ts'

/**
 * Who is there of a job: its executors and its drivers. Takes no part and changes nothing.
 *
 * @throws ConfigError for wrong options, ConnectionError and AuthError
 */
export async function lookAtJob(options: BullmqConnection, job: string): Promise<Look> {
  const complete = parseOptions(connectionSchema(options), options, 'status')
  const line = new ControlLine('url' in complete ? { url: complete.url, tls: complete.tls } : { client: complete.client }, 'status')
  try {
    return await new Registry(line, jobKeys(complete.prefix, job)).watch()
  } finally {
    line.close()
  }
}
