import { systemRandom } from '../../../src/core/random.ts'

/** Names one start of one process: `<host>-<pid>-<random>`. It is also a queue's name, which BullMQ does not let have a colon. */
export function executorId(host: string, pid: number): string {
  return `${host.replaceAll(/[^\w.-]/g, '_')}-${pid}-${systemRandom.id(6)}`
}
