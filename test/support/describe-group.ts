import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { runJava, SHORT_RUN } from './cluster/run-java.ts'

/** A partition as Kafka's own tool shows it. */
export type ShownPartition = { readonly topic: string; readonly partition: number; readonly offset: number; readonly lag: number }

/** What `kafka-consumer-groups --describe` says of a group: its committed offsets and their lag, sorted by topic and partition. */
export async function describeGroup(kafka: KafkaAddress, group: string): Promise<ShownPartition[]> {
  const tool = 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand'
  const printed = await runJava(kafka, tool, brokers => ['--bootstrap-server', brokers, '--describe', '--group', group], { jvm: SHORT_RUN })
  return printed
    .split('\n')
    .map(line => line.split(/\s+/))
    .filter(([name]) => name === group)
    .map(([, topic = '', partition, offset, , lag]) => ({ topic, partition: Number(partition), offset: Number(offset), lag: Number(lag) }))
    .sort((a, b) => (a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1))
}
