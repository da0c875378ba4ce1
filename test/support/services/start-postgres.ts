import { chown, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { ConfigError } from '../../../src/core/errors.ts'
import { findContainerEngine } from './container-engine.ts'
import { startInContainer } from './container-service.ts'
import { findProgram, postgresFolders } from './find-program.ts'
import { findFreePorts } from './free-port.ts'
import { startLocally } from './local-service.ts'
import { runProgram } from './run-program.ts'
import { noService, type Service, type ServiceOptions, serviceAt } from './service.ts'

const USER = 'tidemark'
const IMAGE = 'postgres:17'

export type PostgresOptions = ServiceOptions & {
  /** Lines of `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * A Postgres from the first of three ways that is there: the address in `POSTGRES_URL` (of a user who may create databases and end
 * backends); a Docker engine; a local server's programs, run as the user postgres where we are root, with which Postgres refuses to run.
 * Its `address` is a connection string of a superuser.
 */
export async function startPostgres({ own = false, settings = {} }: PostgresOptions = {}): Promise<Service> {
  if (process.env.POSTGRES_URL && !own) return serviceAt('Postgres', 'POSTGRES_URL', process.env.POSTGRES_URL)

  const all = { max_connections: '200', max_prepared_transactions: '10', ...settings }
  const engine = await findContainerEngine()
  if ('host' in engine) {
    const [port = 0] = await findFreePorts(1)
    const service = await startInContainer(engine.host, port, {
      name: 'Postgres',
      image: IMAGE,
      port: 5432,
      environment: { POSTGRES_USER: USER, POSTGRES_DB: USER, POSTGRES_HOST_AUTH_METHOD: 'trust' },
      command: ['postgres', ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      address: (host, at) => `postgres://${USER}@${host}:${at}/${USER}`,
    })
    return service
  }

  const postgres = await findProgram('postgres', await postgresFolders())
  const initdb = await findProgram('initdb', await postgresFolders())
  if (postgres === undefined || initdb === undefined) {
    throw noService(
      'Postgres',
      'POSTGRES_URL=postgres://user:password@host/database',
      engine.reason,
      "a server's programs, such as Debian's package postgresql",
    )
  }
  const user = await runAs()
  return startLocally({
    name: 'Postgres',
    stopSignal: 'INT',
    prepare: async folder => {
      if (user !== undefined) await chown(folder, user.uid, user.gid)
      const data = join(folder, 'data')
      const [program = '', ...args] = [
        ...(user?.prefix ?? []),
        initdb,
        '-D',
        data,
        '-U',
        USER,
        '-A',
        'trust',
        '-E',
        'UTF8',
        '--no-locale',
        '--no-sync',
      ]
      await runProgram(program, args)
      const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'`)
      await writeFile(join(data, 'postgresql.auto.conf'), `${lines.join('\n')}\n`)
    },
    command: (folder, port) => [
      ...(user?.prefix ?? []),
      ...[
        postgres,
        '-D',
        join(folder, 'data'),
        '-p',
        String(port),
        '-c',
        'listen_addresses=127.0.0.1',
        '-c',
        `unix_socket_directories=${folder}`,
      ],
    ],
    address: port => `postgres://${USER}@127.0.0.1:${port}/postgres`,
    isReady: answers,
  })
}

/** Whether a Postgres, or what stands in front of one, answers there. */
export async function answers(address: string): Promise<boolean> {
  const client = new Client({ connectionString: address })
  // A server that ends the connection while it starts is not ready yet.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } finally {
    await client.end().catch(() => {})
  }
}

/** Who runs Postgres where we are root. */
async function runAs(): Promise<{ readonly uid: number; readonly gid: number; readonly prefix: readonly string[] } | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const id = async (flag: string) => Number((await runProgram('id', [flag, 'postgres'])).stdout)
  try {
    return {
      uid: await id('-u'),
      gid: await id('-g'),
      prefix: ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--init-groups', '--'],
    }
  } catch (cause) {
    throw new ConfigError('Postgres does not run as root, and there is no user postgres to run it as. Add one, or run as another user.', {
      cause,
    })
  }
}
