import { mkdir, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { whyNoJava } from '../cluster/kafka-jars.ts'
import { LOG_TO_CONSOLE } from '../cluster/run-java.ts'
import { findContainerEngine } from './container-engine.ts'
import { startInContainer } from './container-service.ts'
import { findFreePorts } from './free-port.ts'
import { startLocally } from './local-service.ts'
import { noService, type Service, type ServiceOptions, serviceAt } from './service.ts'
import { ensureZookeeperJars, ZOOKEEPER_VERSION } from './zookeeper-jars.ts'

const HEAP = ['-Xms64m', '-Xmx256m', '-XX:-UsePerfData']
/** Short, so that a session of a dead client ends within a test: the session timeout is 2 to 20 ticks. */
const TICK_MS = 100

export type ZookeeperOptions = ServiceOptions & {
  /** Lines of `zoo.cfg`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A ZooKeeper from the first of three ways that is there: `ZOOKEEPER_CONNECT=host:port`; a Docker engine; Java 17 or newer with Maven. */
export async function startZookeeper({ own = false, settings = {} }: ZookeeperOptions = {}): Promise<Service> {
  if (process.env.ZOOKEEPER_CONNECT && !own) return serviceAt('ZooKeeper', 'ZOOKEEPER_CONNECT', process.env.ZOOKEEPER_CONNECT)

  const engine = await findContainerEngine()
  if ('host' in engine) {
    const [port = 0] = await findFreePorts(1)
    return startInContainer(engine.host, port, {
      name: 'ZooKeeper',
      image: `zookeeper:${ZOOKEEPER_VERSION}`,
      port: 2181,
      environment: { ZOO_TICK_TIME: String(TICK_MS), ZOO_MAX_SESSION_TIMEOUT: '60000', ZOO_4LW_COMMANDS_WHITELIST: 'ruok' },
      address: (host, at) => `${host}:${at}`,
    })
  }

  const whyNot = await whyNoJava()
  if (whyNot !== undefined) {
    throw noService('ZooKeeper', 'ZOOKEEPER_CONNECT=host:2181', engine.reason, `Java 17 or newer and Maven on PATH (${whyNot})`)
  }
  const jars = await ensureZookeeperJars()
  return startLocally({
    name: 'ZooKeeper',
    prepare: async (folder, port) => {
      await mkdir(join(folder, 'data'))
      const lines = {
        tickTime: String(TICK_MS),
        maxSessionTimeout: '60000',
        dataDir: join(folder, 'data'),
        clientPort: String(port),
        clientPortAddress: '127.0.0.1',
        'admin.enableServer': 'false',
        '4lw.commands.whitelist': 'ruok',
        maxClientCnxns: '0',
        ...settings,
      }
      const text = Object.entries(lines).map(([name, value]) => `${name}=${value}`)
      await writeFile(join(folder, 'zoo.cfg'), `${text.join('\n')}\n`)
    },
    command: folder => [
      ...['java', ...HEAP, ...LOG_TO_CONSOLE, '-cp', jars],
      ...['org.apache.zookeeper.server.quorum.QuorumPeerMain', join(folder, 'zoo.cfg')],
    ],
    address: port => `127.0.0.1:${port}`,
    isReady: answers,
  })
}

async function answers(address: string): Promise<boolean> {
  const [host = '', port = ''] = address.split(':')
  const socket = connect(Number(port), host)
  socket.setTimeout(1_000, () => socket.destroy())
  socket.end('ruok')
  return (await text(socket)) === 'imok'
}
