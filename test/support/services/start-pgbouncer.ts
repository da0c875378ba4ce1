import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { findProgram } from './find-program.ts'
import { startLocally } from './local-service.ts'
import { noService, type Service } from './service.ts'
import { answers } from './start-postgres.ts'

/** Fewer than the clients of any test, so that each of them meets sessions that others have used. */
const SERVER_CONNECTIONS = 3

/** PgBouncer's program; undefined where it is not installed, and tests through it cannot run. Debian keeps it off the path of ordinary users. */
export function findPgbouncer(): Promise<string | undefined> {
  return findProgram('pgbouncer', ['/usr/sbin', '/usr/local/sbin'])
}

/** A PgBouncer in transaction mode in front of the Postgres at `postgres`, as a local process. Its `address` is a connection string. */
export async function startPgbouncer(postgres: string): Promise<Service> {
  const program = await findPgbouncer()
  if (program === undefined) {
    throw noService(
      'PgBouncer',
      'none is taken from the environment',
      'not used for it',
      "a local program, such as Debian's package pgbouncer",
    )
  }
  const target = new URL(postgres)
  return startLocally({
    name: 'PgBouncer',
    stopSignal: 'INT',
    prepare: (folder, port) => writeFile(join(folder, 'pgbouncer.ini'), configFor(target, port)),
    // It refuses to run as root, and becomes another user by itself once it has read its configuration.
    command: folder => [program, ...(process.getuid?.() === 0 ? ['-u', 'postgres'] : []), join(folder, 'pgbouncer.ini')],
    address: port => `postgres://pgbouncer@127.0.0.1:${port}${target.pathname}`,
    isReady: answers,
  })
}

function configFor({ hostname, port, username, password }: URL, listenPort: number): string {
  const login = [`user=${decodeURIComponent(username)}`, ...(password === '' ? [] : [`password='${decodeURIComponent(password)}'`])]
  return [
    '[databases]',
    `* = host=${hostname} port=${port || 5432} ${login.join(' ')}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${listenPort}`,
    'unix_socket_dir =',
    'auth_type = any',
    'pool_mode = transaction',
    'max_client_conn = 500',
    `default_pool_size = ${SERVER_CONNECTIONS}`,
    // Where Postgres was away it is asked again at once, and not a quarter of a minute later.
    'server_login_retry = 1',
    '',
  ].join('\n')
}
