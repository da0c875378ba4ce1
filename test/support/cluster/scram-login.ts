import { randomBytes } from 'node:crypto'
import type { SaslLogin } from './kafka-cluster.ts'

/** Makes the login of one start of a cluster; the password is never used again. */
export function makeLogin(): SaslLogin {
  return { mechanism: 'scram-sha-512', username: 'tidemark', password: randomBytes(18).toString('base64url') }
}

/** The arguments with which Kafka's StorageTool makes that user known before the first start. */
export function scramArguments(login: SaslLogin | undefined): string[] {
  return login === undefined ? [] : ['--add-scram', `SCRAM-SHA-512=[name=${login.username},password=${login.password}]`]
}

/** A cluster id as Kafka wants it: 16 random bytes in URL-safe base64. */
export function makeClusterId(): string {
  // A leading `-` would read as an option on the command line.
  return `T${randomBytes(16).toString('base64url').slice(1, 22)}`
}
