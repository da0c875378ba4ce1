/** What differs between brokers of a test cluster, and between places they run in. */
export type BrokerPlace = {
  /** Kafka's `node.id`; node 1 is the controller too. */
  readonly nodeId: number
  readonly logFolder: string
  /** Address the listeners bind to. */
  readonly bind: string
  /** `host:port` that clients outside get. */
  readonly plain: string
  /** `host:port` that the other brokers use. */
  readonly internal: string
  /** `host:port` of the controller, node 1. */
  readonly controller: string
  readonly secure: { readonly address: string; readonly keystore: string; readonly keystorePassword: string } | undefined
}

/**
 * The `server.properties` of one broker: KRaft, small, ready for tests at once. Node 1 is broker and controller, so that any
 * other broker can be killed and the cluster still elects leaders.
 */
export function serverProperties(place: BrokerPlace, { authorizer }: { readonly authorizer: boolean }): string {
  const isController = place.nodeId === 1
  const listeners = [`PLAINTEXT://${place.bind}:${portOf(place.plain)}`, `INTERNAL://${place.bind}:${portOf(place.internal)}`]
  const advertised = [`PLAINTEXT://${place.plain}`, `INTERNAL://${place.internal}`]
  if (place.secure !== undefined) {
    listeners.push(`SASL_SSL://${place.bind}:${portOf(place.secure.address)}`)
    advertised.push(`SASL_SSL://${place.secure.address}`)
  }
  if (isController) listeners.push(`CONTROLLER://${place.bind}:${portOf(place.controller)}`)
  return propertiesText({
    'node.id': place.nodeId,
    'process.roles': isController ? 'broker,controller' : 'broker',
    'controller.quorum.voters': `1@${place.controller}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'INTERNAL',
    listeners: listeners.join(','),
    'advertised.listeners': advertised.join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT',
    'log.dirs': place.logFolder,
    ...securityProperties(place.secure),
    ...(authorizer ? AUTHORIZER_PROPERTIES : {}),
    ...TEST_PROPERTIES,
  })
}

const TEST_PROPERTIES = {
  'auto.create.topics.enable': false,
  'delete.topic.enable': true,
  'unclean.leader.election.enable': false,
  'default.replication.factor': 1,
  'min.insync.replicas': 1,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 4,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 4,
  'group.initial.rebalance.delay.ms': 0,
  'group.coordinator.rebalance.protocols': 'classic,consumer',
  'log.retention.ms': -1,
  // Compaction and deletion are looked for several times a second, so that tests need not wait for them.
  'log.retention.check.interval.ms': 500,
  'log.cleaner.backoff.ms': 200,
  'log.cleaner.dedupe.buffer.size': 16 << 20,
  'log.segment.delete.delay.ms': 1000,
  'log.initial.task.delay.ms': 500,
  // A killed broker loses its leaderships after this time, and a stopped one can come back no sooner.
  'broker.session.timeout.ms': 4000,
  'broker.heartbeat.interval.ms': 500,
  'controlled.shutdown.retry.backoff.ms': 200,
}

/** The brokers themselves, and tests that make topics and grant rights, come without a login. */
const AUTHORIZER_PROPERTIES = {
  'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
  'super.users': 'User:ANONYMOUS',
}

function securityProperties(secure: BrokerPlace['secure']): Record<string, string> {
  if (secure === undefined) return {}
  return {
    'listener.name.sasl_ssl.sasl.enabled.mechanisms': 'SCRAM-SHA-512',
    'listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    'listener.name.sasl_ssl.ssl.keystore.type': 'PKCS12',
    'listener.name.sasl_ssl.ssl.keystore.location': secure.keystore,
    'listener.name.sasl_ssl.ssl.keystore.password': secure.keystorePassword,
    'listener.name.sasl_ssl.ssl.key.password': secure.keystorePassword,
  }
}

function propertiesText(properties: Record<string, string | number | boolean>): string {
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${String(value).replaceAll('\\', '\\\\')}\n`)
    .join('')
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1)
}
