import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Pool } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { borrowClient, giveBack, type PostgresPool, postgresPoolConfig } from '../../../src/util/postgres-pool.ts'

/** A message of Postgres' protocol. */
function message(kind: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(kind, 0, 'latin1')
  head.writeInt32BE(4 + body.length, 1)
  return Buffer.concat([head, body])
}

const AUTHENTICATION_OK = message('R', Buffer.alloc(4))
const READY = message('Z', Buffer.from('I'))
const FAREWELL = message('E', Buffer.from('SFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'))

/** A server that is killed in the moment in which it lets a client in: welcome and farewell are one packet. */
async function dyingServer(): Promise<Pool> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(Buffer.concat([AUTHENTICATION_OK, READY, FAREWELL])))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const pool = new Pool(postgresPoolConfig(`postgres://someone@127.0.0.1:${port}/orders`, { max: 1 }))
  pool.on('error', () => {})
  onTestFinished(async () => {
    await pool.end()
    server.close()
  })
  return pool
}

test('a server that lets a client in and dies ends no process: the first query fails', async () => {
  const client = await borrowClient((await dyingServer()) as unknown as PostgresPool)
  await expect(client.query({ text: 'select 1' })).rejects.toThrow()
  giveBack(client, true)
})
