import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs'
import type { KafkaAddress } from './cluster/kafka-cluster.ts'
import { kafkaClient } from './kafka.ts'

/** A right that whoever logs in gets: `{ on: 'GROUP', name: 'orders', operations: ['READ'] }`. */
export type Right = {
  readonly on: keyof typeof AclResourceTypes
  readonly name: string
  readonly isPrefix?: boolean
  readonly operations: readonly (keyof typeof AclOperationTypes)[]
}

/** Gives rights to the user of a cluster that was started with an authorizer. */
export async function grantRights(kafka: KafkaAddress, rights: readonly Right[]): Promise<void> {
  const acl = rights.flatMap(({ on, name, isPrefix = false, operations }) =>
    operations.map(operation => ({
      resourceType: AclResourceTypes[on],
      resourceName: name,
      resourcePatternType: isPrefix ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
      principal: `User:${kafka.sasl?.username}`,
      host: '*',
      operation: AclOperationTypes[operation],
      permissionType: AclPermissionTypes.ALLOW,
    })),
  )
  if (acl.length === 0) return
  const admin = kafkaClient(kafka).admin()
  await admin.connect()
  try {
    await admin.createAcls({ acl })
  } finally {
    await admin.disconnect()
  }
}
