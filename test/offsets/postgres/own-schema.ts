import { Client } from 'pg'
import { onTestFinished } from 'vitest'
import { postgresOffsets } from '../../../offsets/postgres/index.ts'
import type { OffsetStore } from '../../../src/core/offset-store.ts'
import { systemRandom } from '../../../src/core/random.ts'
import type { Batch } from '../../../src/core/values.ts'
import { services } from '../../support/services.ts'

/** A name of a schema or user that no other test has. */
export function uniqueName(prefix: string): string {
  return `${prefix}_${systemRandom.id(8)}`
}

/** A connection for a test's own SQL, closed with the test. It may be terminated meanwhile. */
export async function connect(connectionString = services().postgres): Promise<Client> {
  const client = new Client({ connectionString })
  client.on('error', () => {})
  await client.connect()
  onTestFinished(() => client.end().catch(() => {}))
  return client
}

/** A store over a schema of the test's own, both gone with it. */
export async function openStore(schema: string, connectionString = services().postgres): Promise<OffsetStore> {
  const store = postgresOffsets({ connectionString, schema })
  onTestFinished(async () => {
    await store.close().catch(() => {})
    const client = new Client({ connectionString: services().postgres })
    await client.connect()
    await client.query(`drop schema if exists ${client.escapeIdentifier(schema)} cascade`)
    await client.end()
  })
  return store
}

/** The connection string of a user that was made with `options`, gone with the test. */
export async function makeUser(admin: Client, options = ''): Promise<{ readonly name: string; readonly connectionString: string }> {
  const name = uniqueName('app')
  await admin.query(`create role ${name} login ${options}`)
  onTestFinished(async () => {
    const client = new Client({ connectionString: services().postgres })
    await client.connect()
    await client.query(`drop owned by ${name}; drop role ${name}`)
    await client.end()
  })
  const url = new URL(services().postgres)
  url.username = name
  return { name, connectionString: url.href }
}

export function oneBatch(id: number, topic = 'orders'): Batch {
  return { id, batchTime: id, epoch: 1, ranges: [{ topic, partition: 0, fromOffset: 10 * id - 10, untilOffset: 10 * id }] }
}
