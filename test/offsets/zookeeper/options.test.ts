import zookeeper from 'node-zookeeper-client'
import { describe, expect, test } from 'vitest'
import { zookeeperOffsets } from '../../../offsets/zookeeper/index.ts'
import { completeOptions, type ZookeeperOffsetsOptions } from '../../../offsets/zookeeper/options.ts'

function messageOf(options: unknown): string {
  try {
    zookeeperOffsets(options as ZookeeperOffsetsOptions)
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG' })
    return String(error)
  }
  throw new Error('the options were accepted')
}

describe('the options of zookeeperOffsets', () => {
  test('name the setting that is missing', () => {
    expect(messageOf({ connect: undefined })).toContain('connect is undefined: is ZOOKEEPER_CONNECT set?')
  })

  test.for(['', 'zookeeper://host:2181', 'host:2181,', 'user:secret@host:2181', 'host:2181//x', 'host:2181/a/../b'])(
    'refuse %j as an address',
    connect => {
      expect(messageOf({ connect })).toContain("expected 'host:port,host:port/chroot'")
    },
  )

  test('refuse both an address and a client, and credentials with a client', () => {
    const client = zookeeper.createClient('host:2181')
    expect(messageOf({ client, connect: 'host:2181' })).toContain('connect is not an option')
    expect(messageOf({ client, auth: { scheme: 'digest', auth: 'etl:hunter2' } })).toContain('auth is not an option')
  })

  test('refuse what is no client', () => {
    expect(messageOf({ client: {} })).toContain('expected a client of node-zookeeper-client')
  })

  test('never show a password', () => {
    expect(messageOf({ connect: 'host:2181', auth: 'etl:hunter2' })).not.toContain('hunter2')
    expect(messageOf({ connect: 'host:2181', auth: { scheme: '', auth: 'etl:hunter2' } })).not.toContain('hunter2')
  })

  test('put the chroot in front of the root, and make nodes for their creator alone where there are credentials', () => {
    expect(completeOptions({ connect: 'a:1,b:2/kafka/', auth: { scheme: 'digest', auth: 'etl:hunter2' } })).toEqual({
      source: { servers: 'a:1,b:2', auth: { scheme: 'digest', auth: 'etl:hunter2' }, sessionTimeoutMs: 10_000 },
      base: '/kafka/tidemark',
      acl: 'creator',
      historyEntries: 100_000,
    })
    expect(completeOptions({ connect: 'a', root: '/jobs/offsets' })).toMatchObject({ base: '/jobs/offsets', acl: 'open' })
  })
})
