import { fileURLToPath } from 'node:url'
import { type Ended, NodeProcess } from '../src/cli/node-process.ts'
import { kafkaCluster } from '../support/kafka.ts'
import { services } from '../support/services.ts'

const script = fileURLToPath(new URL('../../scripts/example.ts', import.meta.url))

/** `npm run example <name>` as a process of its own, on the servers that the tests share. Like the demo it runs what is built, `dist/`. */
export function startExample(...args: readonly string[]): NodeProcess {
  const { postgres, redis } = services()
  return new NodeProcess([script, ...args], {
    env: { KAFKA_BROKERS: kafkaCluster().brokers.join(','), POSTGRES_URL: postgres, REDIS_URL: redis },
  })
}

/** Plays an example to its end. */
export function play(name: string): Promise<Ended> {
  return startExample(name).ended
}
