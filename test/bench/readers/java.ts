import type { KafkaAddress } from '../../support/cluster/kafka-cluster.ts'
import { runJava } from '../../support/cluster/run-java.ts'

/** What the Java client's own benchmark says of reading a topic once: records a second over its whole run, and while fetching alone. */
export async function readWithJava(kafka: KafkaAddress, topic: string, count: number): Promise<{ wholeRun: number; fetching: number }> {
  const group = `${topic}-java-${process.pid}-${performance.now()}`
  const printed = await runJava(kafka, 'org.apache.kafka.tools.ConsumerPerformance', brokers => [
    ...['--bootstrap-server', brokers, '--topic', topic, '--messages', String(count), '--group', group, '--timeout', '60000'],
  ])
  const [header, values] = printed
    .trim()
    .split('\n')
    .slice(-2)
    .map(line => line.split(',').map(cell => cell.trim()))
  const column = (name: string) => Number(values?.[header?.indexOf(name) ?? -1])
  return { wholeRun: column('nMsg.sec'), fetching: column('fetch.nMsg.sec') }
}
