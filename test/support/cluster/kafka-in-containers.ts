import { Readable } from 'node:stream'
import { ConfigError } from '../../../src/core/errors.ts'
import { execInContainer } from '../services/container-engine.ts'
import { findFreePorts } from '../services/free-port.ts'
import { keytoolCommands } from './certificate.ts'
import type { CompleteKafkaOptions, KafkaCluster } from './kafka-cluster.ts'
import { KAFKA_VERSION } from './kafka-jars.ts'
import { JAVA_FOLDER } from './run-java.ts'
import { makeClusterId, makeLogin, scramArguments } from './scram-login.ts'
import { type BrokerPlace, serverProperties } from './server-properties.ts'
import { waitForBrokers } from './wait-for-brokers.ts'

const BROKER_IMAGE = `apache/kafka:${KAFKA_VERSION}`
/** Kafka's image has no compiler and no keytool of a JDK, which the tools of `test/support/java` and the certificate need. */
const TOOLS_IMAGE = 'eclipse-temurin:21-jdk'

const SECRETS = '/etc/kafka/secrets'
const PROPERTIES = '/etc/kafka/secrets/server.properties'
const TOOLS = '/opt/tidemark'

/** Starts Kafka in containers of a network of its own; testcontainers removes them when this process ends, however it does. */
export async function startInContainers(host: string, options: CompleteKafkaOptions): Promise<KafkaCluster> {
  const { GenericContainer, Network, getContainerRuntimeClient } = await import('testcontainers')
  const network = await new Network().start()
  const toolsContainer = await new GenericContainer(TOOLS_IMAGE)
    .withNetwork(network)
    .withCopyDirectoriesToContainer([{ source: JAVA_FOLDER, target: `${TOOLS}/java` }])
    .withCommand(['sleep', 'infinity'])
    .start()

  const login = options.sasl ? makeLogin() : undefined
  const places = await planPlaces(host, options)
  const { keystore, ca } = await makeCertificate(toolsContainer.getId())
  const clusterId = makeClusterId()

  const containers = await Promise.all(
    places.map(place => {
      const ports = [place.plain, ...(place.secure === undefined ? [] : [place.secure.address])].map(portOf)
      return new GenericContainer(BROKER_IMAGE)
        .withNetwork(network)
        .withNetworkAliases(aliasOf(place.nodeId))
        .withExposedPorts(...ports.map(port => ({ container: port, host: port })))
        .withCopyContentToContainer([
          { content: serverProperties(place, options), target: PROPERTIES },
          { content: keystore, target: `${SECRETS}/keystore.p12` },
        ])
        .withEntrypoint(['sh', '-c', START_BROKER, 'sh', clusterId, ...scramArguments(login)])
        .start()
    }),
  )
  const brokers = places.map(place => place.plain)
  await waitForBrokers(brokers, brokers.length)

  const [first] = containers
  if (first === undefined) throw new ConfigError('A cluster needs at least one broker.')
  const jars = await first.copyArchiveFromContainer('/opt/kafka/libs')
  await toolsContainer.copyArchiveToContainer(Readable.from(jars), TOOLS)

  const engine = (await getContainerRuntimeClient()).container
  const containerAt = (index: number) => {
    const container = containers[index]
    if (container === undefined)
      throw new ConfigError(`There is no broker ${index}: this cluster has ${containers.length}, counted from 0.`)
    return engine.getById(container.getId())
  }
  const close = async () => {
    await Promise.all([toolsContainer, ...containers].map(container => container.stop()))
    await network.stop()
  }
  return {
    origin: `${BROKER_IMAGE}, ${brokers.length} in containers`,
    brokers,
    saslBrokers: places.flatMap(place => place.secure?.address ?? []),
    sasl: login,
    ca: options.sasl ? ca : undefined,
    tools: {
      kind: 'container',
      containerId: toolsContainer.getId(),
      jars: `${TOOLS}/libs/*`,
      sources: `${TOOLS}/java`,
      brokers: places.map(place => place.internal),
    },
    stopBroker: async index => {
      await containerAt(index).stop()
    },
    killBroker: async index => {
      await containerAt(index).kill()
    },
    startBroker: async index => {
      await containerAt(index).start()
      await waitForBrokers([brokers[index] ?? ''], 1)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

// Formatting leaves a folder that is already formatted alone, so that a broker started again keeps its log.
const START_BROKER = `
cluster=$1
shift
/opt/kafka/bin/kafka-storage.sh format --ignore-formatted -t "$cluster" -c ${PROPERTIES} "$@" &&
exec /opt/kafka/bin/kafka-server-start.sh ${PROPERTIES}
`

async function planPlaces(host: string, { brokers, sasl, port }: CompleteKafkaOptions): Promise<BrokerPlace[]> {
  const ports = await findFreePorts(2 * brokers)
  const next = () => `${host}:${ports.pop()}`
  return Array.from({ length: brokers }, (_, index) => ({
    nodeId: index + 1,
    logFolder: '/var/lib/kafka/data/log',
    bind: '0.0.0.0',
    plain: index === 0 && port !== undefined ? `${host}:${port}` : next(),
    internal: `${aliasOf(index + 1)}:19092`,
    controller: `${aliasOf(1)}:19093`,
    secure: sasl ? { address: next(), keystore: `${SECRETS}/keystore.p12`, keystorePassword: 'tidemark' } : undefined,
  }))
}

async function makeCertificate(toolsContainerId: string): Promise<{ keystore: Buffer; ca: string }> {
  const files = { keystore: `${TOOLS}/keystore.p12`, keystorePassword: 'tidemark', certificate: `${TOOLS}/ca.pem` }
  for (const command of keytoolCommands(files)) await execInContainer(toolsContainerId, command)
  const keystore = await execInContainer(toolsContainerId, ['base64', '-w0', files.keystore])
  return { keystore: Buffer.from(keystore.trim(), 'base64'), ca: await execInContainer(toolsContainerId, ['cat', files.certificate]) }
}

function aliasOf(nodeId: number): string {
  return `kafka-${nodeId}`
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
