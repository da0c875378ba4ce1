import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../../src/core/errors.ts'
import { findFreePorts } from '../services/free-port.ts'
import { runProgram, tail } from '../services/run-program.ts'
import { ServiceProcess } from '../services/service-process.ts'
import { keytoolCommands } from './certificate.ts'
import type { CompleteKafkaOptions, KafkaCluster, SaslLogin } from './kafka-cluster.ts'
import { ensureKafkaJars, KAFKA_VERSION } from './kafka-jars.ts'
import { LOG_TO_CONSOLE, SHORT_RUN } from './run-java.ts'
import { makeClusterId, makeLogin, scramArguments } from './scram-login.ts'
import { type BrokerPlace, serverProperties } from './server-properties.ts'
import { waitForBrokers } from './wait-for-brokers.ts'

/** Enough for millions of records: what Kafka serves comes from the system's page cache. */
const BROKER_HEAP = ['-Xms256m', '-Xmx512m', '-XX:+UseG1GC', '-XX:+ExitOnOutOfMemoryError', '-XX:-UsePerfData']

/** A cluster of one test's own lives for seconds, and compiling its code well takes longer than running it: half of the processor time of a start. */
const SHORT_LIFE = ['-Xms256m', '-Xmx512m', ...SHORT_RUN, '-XX:+ExitOnOutOfMemoryError']

const ATTEMPTS = 3

/** Where a port was free when we looked and taken when the broker came. */
class PortTakenError extends ConfigError {}

type Layout = {
  readonly folder: string
  readonly jars: string
  readonly places: readonly BrokerPlace[]
  readonly login: SaslLogin | undefined
  readonly authorizer: boolean
  readonly heap: readonly string[]
}

/** Starts Kafka as local Java processes in a folder of its own, all brokers at once. Takes about four seconds on two cores. */
export async function startAsProcesses(options: CompleteKafkaOptions): Promise<KafkaCluster> {
  const jars = await ensureKafkaJars()
  for (let attempt = 1; ; attempt++) {
    const folder = await mkdtemp(join(options.dataDir, 'tidemark-kafka-'))
    try {
      return await startIn(folder, jars, options)
    } catch (error) {
      await rm(folder, { recursive: true, force: true })
      if (!(error instanceof PortTakenError) || options.port !== undefined || attempt === ATTEMPTS) throw error
    }
  }
}

async function startIn(folder: string, jars: string, options: CompleteKafkaOptions): Promise<KafkaCluster> {
  const login = options.sasl ? makeLogin() : undefined
  const layout: Layout = {
    folder,
    jars,
    login,
    authorizer: options.authorizer,
    heap: heapOf(options),
    places: await planPlaces(folder, options),
  }
  const [ca] = await Promise.all([makeCertificate(layout), formatStorage(layout)])

  const running = new Map<number, ServiceProcess>()
  const start = async (indexes: readonly number[]) => {
    for (const index of indexes) running.set(index, startBroker(layout, placeAt(layout, index)))
    await waitForAll(layout, running)
  }
  const end = async (index: number, signal: 'TERM' | 'KILL') => {
    placeAt(layout, index)
    await running.get(index)?.end(signal)
    running.delete(index)
  }
  const close = async () => {
    // Nothing in the folder is kept, so there is nothing to flush: a kill is as good as a stop and much faster.
    await Promise.all([...running.values()].map(broker => broker.end('KILL')))
    await rm(folder, { recursive: true, force: true })
  }

  try {
    await start(layout.places.keys().toArray())
  } catch (error) {
    await close()
    throw error
  }
  return {
    origin: `Kafka ${KAFKA_VERSION}, ${layout.places.length} local broker${layout.places.length === 1 ? '' : 's'}`,
    brokers: layout.places.map(place => place.plain),
    saslBrokers: layout.places.flatMap(place => place.secure?.address ?? []),
    sasl: login,
    ca,
    tools: { kind: 'here' },
    stopBroker: index => end(index, 'TERM'),
    killBroker: index => end(index, 'KILL'),
    startBroker: async index => {
      if (!running.has(index)) await start([index])
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function planPlaces(folder: string, { brokers, sasl, port }: CompleteKafkaOptions): Promise<BrokerPlace[]> {
  const ports = (await findFreePorts(1 + 3 * brokers)).map(free => `127.0.0.1:${free}`)
  const next = () => ports.pop() ?? ''
  const controller = next()
  return Array.from({ length: brokers }, (_, index) => ({
    nodeId: index + 1,
    logFolder: join(folder, `broker-${index + 1}`, 'log'),
    bind: '127.0.0.1',
    plain: index === 0 && port !== undefined ? `127.0.0.1:${port}` : next(),
    internal: next(),
    controller,
    secure: sasl ? { address: next(), keystore: join(folder, 'keystore.p12'), keystorePassword: 'tidemark' } : undefined,
  }))
}

async function makeCertificate({ folder, places }: Layout): Promise<string | undefined> {
  const secure = places[0]?.secure
  if (secure === undefined) return undefined
  const certificate = join(folder, 'ca.pem')
  for (const [program = '', ...args] of keytoolCommands({ ...secure, certificate })) await runProgram(program, args)
  return readFile(certificate, 'utf8')
}

async function formatStorage({ folder, jars, places, login, authorizer }: Layout): Promise<void> {
  const clusterId = makeClusterId()
  await Promise.all(
    places.map(async place => {
      await mkdir(brokerFolder(folder, place), { recursive: true })
      const properties = propertiesPath(folder, place)
      await writeFile(properties, serverProperties(place, { authorizer }))
      const format = ['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties, ...scramArguments(login)]
      await runProgram('java', [...SHORT_RUN, ...LOG_TO_CONSOLE, '-cp', jars, ...format])
    }),
  )
}

/** `VITEST` is vitest's own: in the soak a cluster of its own lives for long. */
function heapOf({ own }: CompleteKafkaOptions): readonly string[] {
  return own && process.env.VITEST !== undefined ? SHORT_LIFE : BROKER_HEAP
}

function startBroker({ folder, jars, heap }: Layout, place: BrokerPlace): ServiceProcess {
  const java = ['java', ...heap, ...LOG_TO_CONSOLE, '-cp', jars, 'kafka.Kafka', propertiesPath(folder, place)]
  return new ServiceProcess(java, { folder: folder, logPath: brokerLogPath(folder, place) })
}

/** Resolves once all running brokers answer and know each other; a broker that ends meanwhile rejects with the end of its log. */
async function waitForAll(layout: Layout, running: ReadonlyMap<number, ServiceProcess>): Promise<void> {
  const ready = new AbortController()
  const early = [...running].map(async ([index, broker]) => {
    const code = await broker.exited
    if (ready.signal.aborted) return
    const place = placeAt(layout, index)
    const log = tail(await readFile(brokerLogPath(layout.folder, place), 'utf8'))
    const message = `Kafka broker ${place.nodeId} ended with code ${code} while it started. The end of its log:\n${log}`
    throw /Address already in use|BindException/.test(log) ? new PortTakenError(message) : new ConfigError(message)
  })
  const addresses = [...running.keys()].map(index => placeAt(layout, index).plain)
  try {
    await Promise.race([waitForBrokers(addresses, running.size, { signal: ready.signal }), ...early])
  } finally {
    ready.abort()
  }
}

function placeAt({ places }: Layout, index: number): BrokerPlace {
  const place = places[index]
  if (place === undefined) throw new ConfigError(`There is no broker ${index}: this cluster has ${places.length}, counted from 0.`)
  return place
}

function brokerFolder(folder: string, place: BrokerPlace): string {
  return join(folder, `broker-${place.nodeId}`)
}

function propertiesPath(folder: string, place: BrokerPlace): string {
  return join(brokerFolder(folder, place), 'server.properties')
}

function brokerLogPath(folder: string, place: BrokerPlace): string {
  return join(brokerFolder(folder, place), 'broker.log')
}
